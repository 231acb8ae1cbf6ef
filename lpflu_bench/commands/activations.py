"""``lpflu-bench activations``: the table of functions."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.registry import describe_source, list_activations
from lpflu_bench.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern of names, e.g. '*elu' (default: all)")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw functions and derivatives into a PNG, SVG or PDF; PATTERN may be a preset: fig1, fig2, paper",
    )


def run(args: argparse.Namespace) -> int:
    """Print the functions whose names match.

    Raises:
        UserError: None does.
    """
    if args.plot is not None:
        return _plot(args.pattern, args.plot)
    names = list_activations(args.pattern)
    if not names:
        raise UserError(f"no activation function matches {args.pattern!r}; `lpflu-bench activations` lists all")
    table = Table("name", "formula", "parameters", "train / eval")
    for name in names:
        if name in ENTRIES:
            entry = ENTRIES[name]
            trained = f"trained: {entry.trained}" if entry.trained else ""
            parameters = "\n".join(filter(None, [entry.parameters, trained])) or "none"
            table.add_row(name, entry.formula, parameters, entry.train_eval or "same")
        else:
            table.add_row(name, describe_source(name), "", "")
    console = Console(markup=False, highlight=False)
    console.print(table)
    smooth = [name for name in names if name in ENTRIES and ENTRIES[name].smooth_relu]
    if smooth:
        console.print(
            "leaky_<name> is (1 - a) S(x) + a x, with the slope a as in lpflu, for S = " + ", ".join(smooth) + ".\n"
            "s is the logistic sigmoid, Phi and phi the standard normal distribution and density.",
        )
    return 0


def _plot(pattern: str, file: Path) -> int:
    from lpflu_bench.activations.plot import PRESETS, draw

    names = [pattern] if pattern in PRESETS else list_activations(pattern) or [pattern]
    draw(names, file)
    print(f"drawn: {file}")
    return 0
