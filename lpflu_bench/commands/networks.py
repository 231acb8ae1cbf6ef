"""``lpflu-bench networks``: the names of the networks of each kind of task."""

import argparse
import fnmatch

from lpflu_bench.errors import UserError, blamed_on
from lpflu_bench.terminal import next_command, text_table
from lpflu_bench.text import count_of


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
        UserError: none does, or ``--verify`` can't take what is named.
    """
    from rich.console import Console

    if args.verify is not None:
        if args.pattern is None:
            raise UserError(f"which network? lpflu-bench networks NAME --verify {args.verify}")
        return _verify(args.pattern, args.verify)
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
        if matching := fnmatch.filter(names, "*" if args.pattern is None else args.pattern):
            lines.append((kind, option, " ".join(matching)))
    if not lines:
        part = args.pattern.strip("*")
        instead = f"`lpflu-bench networks '*{part}*'`?" if part else "`lpflu-bench networks` lists them"
        raise UserError(f"no network matches {args.pattern!r}; {instead}")
    console = Console(highlight=False)
    console.print(text_table("networks", ("kind", "option", "names"), lines, texts=3))
    if args.pattern is None:
        console.print("timm/NAME: see `lpflu-bench networks 'timm/*vit*'`; your own: my_net.py:Net", markup=False)
    print(next_command("networks", "resnet18", "--verify", "lpflu"))
    return 0


def _verify(name: str, activation: str) -> int:
    from rich.console import Console

    from lpflu_bench.activations.registry import create_activation
    from lpflu_bench.activations.replace import replace_activations, verify_swap
    from lpflu_bench.networks.classifiers import build_classifier

    with blamed_on("--verify"):
        create_activation(activation)
    network = build_classifier(name, 10)
    places = verify_swap(network)
    report = replace_activations(network, activation)
    Console(highlight=False).print(report.table())
    for line in (f"{name}: {activation} at {report.sentence()}", *report.remarks()):
        print(line)
    at = count_of(places, "place")
    print(f"{name}: bitwise equal outputs with the original functions at {at}, each called once")
    print(next_command("fit", "--config", "tasks/cifar100/regnety_800mf.yaml", "--model.network", name))
    return 0
