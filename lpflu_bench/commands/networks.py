"""``lpflu-bench networks``: the names of the networks of each kind of task."""

import argparse
import fnmatch

from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command, text_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "pattern", nargs="?", help="shell pattern of names, e.g. '*convnext*' (default: all but timm's)"
    )
    parser.add_argument(
        "--verify",
        metavar="ACTIVATION",
        help="PATTERN is a classifier's name: show where ACTIVATION goes in it, and prove that with the original functions "
        "at the same places its outputs stay bitwise equal",
    )


def run(args: argparse.Namespace) -> int:
    """Print the names that match, with the option that takes them.

    Raises:
        UserError: None does.
    """
    from rich.console import Console

    if args.verify is not None:
        return _verify(args.pattern or "", args.verify)
    from lpflu_bench.networks.classifiers import TIMM, list_classifiers
    from lpflu_bench.networks.detectors import DETECTORS
    from lpflu_bench.networks.segmenters import list_architectures, list_encoders

    classifiers = list_classifiers()
    if args.pattern is None:
        classifiers = [name for name in classifiers if not name.startswith(TIMM)] + [f"{TIMM}NAME"]
    lines = []
    for kind, option, names in (
        ("classification", "--model.network", classifiers),
        ("detection", "--model.network", list(DETECTORS)),
        ("segmentation", "--model.architecture", list_architectures()),
        ("segmentation", "--model.encoder_name", [*list_encoders(), "tu-NAME"]),
    ):
        if matching := fnmatch.filter(names, args.pattern or "*"):
            lines.append((kind, option, " ".join(matching)))
    if not lines:
        raise UserError(f"no network matches {args.pattern!r}; `lpflu-bench networks '*{args.pattern.strip('*')}*'`?")
    console = Console(highlight=False)
    console.print(text_table("networks", ("kind", "option", "names"), lines, texts=3))
    if args.pattern is None:
        console.print("timm/NAME: see `lpflu-bench networks 'timm/*vit*'`; your own: my_net.py:Net", markup=False)
    print(next_command("networks", "resnet18", "--verify", "lpflu"))
    return 0


def _verify(name: str, activation: str) -> int:
    from rich.console import Console

    from lpflu_bench.activations.replace import replace_activations, verify_swap
    from lpflu_bench.networks.classifiers import build_classifier

    network = build_classifier(name, 10)
    places = verify_swap(network)
    report = replace_activations(network, activation)
    Console(highlight=False).print(report.table())
    for line in (f"{name}: {activation} at {report.sentence()}", *report.remarks()):
        print(line)
    print(f"{name}: bitwise equal outputs with the original functions at {places} places, each called once")
    print(next_command("fit", "--config", "tasks/cifar100/regnety_800mf.yaml", "--model.network", name))
    return 0
