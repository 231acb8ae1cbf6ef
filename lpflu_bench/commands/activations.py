"""``lpflu-bench activations``: the table of functions."""

import argparse
from pathlib import Path

from rich.console import Console

from lpflu_bench.activations.catalogue import COMPARED, ENTRIES
from lpflu_bench.activations.registry import describe_source, list_activations
from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command, text_table


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
    console = Console(markup=False, highlight=False)
    for title, members in _groups(names).items():
        lines = []
        for name in members:
            if name in ENTRIES:
                entry = ENTRIES[name]
                trained = f"trained: {entry.trained}" if entry.trained else ""
                settings = "\n".join(filter(None, [entry.parameters, trained, entry.train_eval])) or "none"
                lines.append((name, entry.formula, settings, entry.source))
            else:
                lines.append((name, describe_source(name), "", ""))
        console.print(text_table(title, ("name", "formula", "settings", "source"), lines, texts=4))
    smooth = [name for name in names if name in ENTRIES and ENTRIES[name].smooth_relu]
    if smooth:
        console.print(
            "leaky_<name> is (1 - a) S(x) + a x, with the slope a as in lpflu, for S = " + ", ".join(smooth) + ".\n"
            "s is the logistic sigmoid, Phi and phi the standard normal distribution and density.",
        )
    print(next_command("activations", args.pattern, "--plot", "functions.png"))
    return 0


def _groups(names: list[str]) -> dict[str, list[str]]:
    """The names under a title for each group that has one."""
    groups: dict[str, list[str]] = {
        "Compared in the LPFLU paper": [name for name in COMPARED if name in names],
        "Also named in the LPFLU paper": [],
        "Recent and other functions": [],
        "Not built in": [],
    }
    for name in names:
        if name not in ENTRIES:
            groups["Not built in"].append(name)
        elif name not in COMPARED:
            paper = ENTRIES[name].group == "paper"
            groups["Also named in the LPFLU paper" if paper else "Recent and other functions"].append(name)
    return {title: members for title, members in groups.items() if members}


def _plot(pattern: str, file: Path) -> int:
    from lpflu_bench.activations.plot import PRESETS, draw

    names = [pattern] if pattern in PRESETS else list_activations(pattern) or [pattern]
    draw(names, file)
    print(f"drawn: {file}")
    print(next_command("speed", "--functions", *names))
    return 0
