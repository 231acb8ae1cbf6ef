"""Look at all of a data set before training: read it as `fit` would, decode everything, count, and draw some of it.

Exit status 0: a training would run; 1: it would fail, and the findings say why.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command

if TYPE_CHECKING:
    from lpflu_bench.data.base import BenchDataModule

# Short name -> data module, and a recipe that trains on such data.
KINDS = {
    "cifar100": ("CIFAR100", "tasks/cifar100/regnety_800mf.yaml"),
    "cifar10": ("CIFAR10", "tasks/cifar100/regnety_800mf.yaml"),
    "fashion_mnist": ("FashionMNIST", "tasks/cifar100/regnety_800mf.yaml"),
    "image_folder": ("ImageFolder", "tasks/cifar100/regnety_800mf.yaml"),
    "imagenet": ("ImageNet", "tasks/imagenet/resnet18.yaml"),
    "tiny_imagenet": ("TinyImageNet", "tasks/tiny_imagenet/resnet18.yaml"),
    "voc": ("VOC", "tasks/voc/ssdlite320.yaml"),
    "detection_folder": ("DetectionFolder", "tasks/voc/ssdlite320.yaml"),
    "cityscapes": ("Cityscapes", "tasks/cityscapes/unet_resnet34.yaml"),
    "segmentation_folder": ("SegmentationFolder", "tasks/cityscapes/unet_resnet34.yaml"),
}
_NAMES_SHOWN = 8


class _CheckParser(argparse.ArgumentParser):
    """Takes KIND, and leaves options of the data module to that module's own parser."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse what is known, and keep the rest as ``data_options``."""
        kind = [] if not args or args[0].startswith("-") else [args[0]]
        namespace, rest = super().parse_known_args(args[len(kind) :], namespace)
        namespace.kind, namespace.data_options = kind, rest
        return namespace, []


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_CheckParser)
    check = actions.add_parser(
        "check",
        help="check that everything is present, readable and consistent",
        description=f"{__doc__}\n\nKIND is {', '.join(KINDS)}; or give --config or --data.",
        usage="lpflu-bench data check [KIND] [--data.root DIR] [--config FILE]\n"
        "       [--data CLASS] [--data.OPTION ...] [--out DIR]",
        allow_abbrev=False,
    )
    check.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="a recipe or overlay whose data section is used"
    )
    check.add_argument(
        "--out",
        type=Path,
        default=Path("data-check"),
        metavar="DIR",
        help="folder of the page and the JSON (%(default)s)",
    )


def data_module(recipes: Sequence[Mapping[str, Any]], kind: Sequence[str], options: Sequence[str]) -> "BenchDataModule":
    """Return the data module that recipes' contents, a short name and ``--data`` options describe.

    Raises:
        UserError: they describe none, or an option is unknown.
    """
    from lpflu_bench.data.base import BenchDataModule
    from lpflu_bench.training.argument_parser import BenchArgumentParser

    section: dict[str, Any] = {}
    for recipe in recipes:
        part = recipe.get("data") or {}
        section["class_path"] = part.get("class_path", section.get("class_path"))
        section["init_args"] = section.get("init_args", {}) | (part.get("init_args") or {})
    if kind:
        if kind[0] not in KINDS:
            raise UserError(f"data check: there is no kind {kind[0]!r}; known are {', '.join(KINDS)}")
        section["class_path"] = f"lpflu_bench.data.{KINDS[kind[0]][0]}"
    if not section.get("class_path") and not any(each.split("=")[0] == "--data" for each in options):
        raise UserError("data check: name the data: KIND, --config RECIPE or --data CLASS, with --data.root DIR")
    parser = BenchArgumentParser()
    parser.add_lightning_class_args(BenchDataModule, "data", subclass_mode=True)
    given = [f"--data={json.dumps(section)}"] if section.get("class_path") else []
    module: BenchDataModule = parser.instantiate_classes(parser.parse_args([*given, *options])).data
    return module


def _read(config: str) -> Mapping[str, Any]:
    from lpflu_bench.paths import resource_path
    from lpflu_bench.yaml_files import read_yaml

    return read_yaml(resource_path(config))


def _usual_recipe(name: str) -> str | None:
    """Return a recipe that trains on data of this module."""
    return next((recipe for data, recipe in KINDS.values() if data == name), None)


def _given(args: argparse.Namespace) -> list[str]:
    """Return the words that described the data."""
    return [*args.kind, *(word for config in args.config for word in ("--config", config)), *args.data_options]


def _fit(
    args: argparse.Namespace, recipes: Sequence[Mapping[str, Any]], module: "BenchDataModule", classes: int
) -> list[str]:
    """Return the words of a `fit` on this data, with what differs from its recipes' data and classes."""
    name = type(module).__name__
    configs = args.config
    if not configs and (usual := _usual_recipe(name)):
        configs, recipes = [usual], [_read(usual)]
    words = ["fit", *(word for config in configs or ["RECIPE"] for word in ("--config", config))]
    if recipes:
        datas = [recipe.get("data") or {} for recipe in recipes]
        models = [(recipe.get("model") or {}).get("init_args", {}) for recipe in recipes]
        named = any(word.split("=")[0] == "--data" for word in args.data_options)
        if not named and name not in [str(data["class_path"]).split(".")[-1] for data in datas if "class_path" in data]:
            words += ["--data", name]
        if classes and [model["num_classes"] for model in models if "num_classes" in model][-1:] != [classes]:
            return [*words, *args.data_options, "--model.num_classes", str(classes)]
    return [*words, *args.data_options]


def run(args: argparse.Namespace) -> int:
    """Check the set, write the page and the JSON, print the findings; return 0 if a training would run."""
    from lpflu_bench.data.check.page import render
    from lpflu_bench.data.check.report import check, split_sets
    from lpflu_bench.files import write_text_atomically

    recipes = [_read(config) for config in args.config]
    module = data_module(recipes, args.kind, args.data_options)
    report = check(module)
    write_text_atomically(args.out / "data.json", json.dumps(asdict(report), indent=2))
    write_text_atomically(args.out / "index.html", render(report, split_sets(module) if report.splits else {}))
    for name, part in report.splits.items():
        print(f"{name}: {part['images']:,} images")
    names = report.class_names
    if names:
        print(f"{len(names)} classes: {', '.join(names[:_NAMES_SHOWN])}{', ...' if len(names) > _NAMES_SHOWN else ''}")
    for finding in report.findings:
        count = f" ({finding.count}x, the first: {finding.examples[0]})" if finding.examples else ""
        text = finding.text
        if not report.splits and module.layout not in text:
            text = f"{text}. {module.layout}"
        print(f"lpflu-bench: {finding.level}: {text}{count}", file=sys.stderr)
    print(f"page: {args.out / 'index.html'}, JSON: {args.out / 'data.json'}")
    print(next_command(*(_fit(args, recipes, module, len(names)) if report.ok else ("data", "check", *_given(args)))))
    return 0 if report.ok else 1
