"""Look at all of a data set before training: read it as `fit` would, decode everything, count, and draw some of it.

Exit status 0: a training would run; 1: it would fail, and the findings say why.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command

if TYPE_CHECKING:
    from lpflu_bench.data.base import BenchDataModule

# Short name -> data module.
KINDS = {
    "cifar100": "CIFAR100",
    "cifar10": "CIFAR10",
    "fashion_mnist": "FashionMNIST",
    "image_folder": "ImageFolder",
    "imagenet": "ImageNet",
    "tiny_imagenet": "TinyImageNet",
    "voc": "VOC",
    "detection_folder": "DetectionFolder",
    "cityscapes": "Cityscapes",
    "segmentation_folder": "SegmentationFolder",
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


def data_module(configs: Sequence[str], kind: Sequence[str], options: Sequence[str]) -> "BenchDataModule":
    """Return the data module that recipes, a short name and ``--data`` options describe.

    Raises:
        UserError: they describe none, or an option is unknown.
    """
    from lpflu_bench.data.base import BenchDataModule
    from lpflu_bench.paths import resource_path
    from lpflu_bench.training.argument_parser import BenchArgumentParser

    section: dict[str, Any] = {}
    for config in configs:
        try:
            content = yaml.safe_load(resource_path(config).read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"--config {config}: can't be read as YAML ({str(error).splitlines()[0]})") from error
        part = content.get("data") or {}
        section["class_path"] = part.get("class_path", section.get("class_path"))
        section["init_args"] = section.get("init_args", {}) | (part.get("init_args") or {})
    if kind:
        if kind[0] not in KINDS:
            raise UserError(f"data check: there is no kind {kind[0]!r}; known are {', '.join(KINDS)}")
        section["class_path"] = f"lpflu_bench.data.{KINDS[kind[0]]}"
    if not section.get("class_path") and not any(each.split("=")[0] == "--data" for each in options):
        raise UserError("data check: name the data: KIND, --config RECIPE or --data CLASS, with --data.root DIR")
    parser = BenchArgumentParser()
    parser.add_lightning_class_args(BenchDataModule, "data", subclass_mode=True)
    given = [f"--data={json.dumps(section)}"] if section.get("class_path") else []
    module: BenchDataModule = parser.instantiate_classes(parser.parse_args([*given, *options])).data
    return module


def run(args: argparse.Namespace) -> int:
    """Check the set, write the page and the JSON, print the findings; return 0 if a training would run."""
    from lpflu_bench.data.check.page import render
    from lpflu_bench.data.check.report import check, split_sets
    from lpflu_bench.files import write_text_atomically

    module = data_module(args.config, args.kind, args.data_options)
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
    files = [word for config in args.config or ["RECIPE"] for word in ("--config", config)]
    again = ("data", "check", *args.kind, *(files if args.config else []), *args.data_options)
    print(next_command(*(("fit", *files, *args.data_options) if report.ok else again)))
    return 0 if report.ok else 1
