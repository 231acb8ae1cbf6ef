"""Judge a function in minutes: is it sound, what does it cost, does it help?

  lpflu-bench try my_functions.py:Bent
  lpflu-bench try my_functions.py:Bent --against relu,gelu --budget 30m
  lpflu-bench try my_functions.py:Bent --json > answer.json

The answer is one page and one JSON file in results/try/NAME, the verdict in the first line. The exit status is 0 whatever
the verdict; an interrupted try is continued by the same command.
"""

import argparse
import sys
from pathlib import Path

from lpflu_bench.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from lpflu_bench.studies.executors.base import seconds

    parser.add_argument("function", metavar="FILE.py:NAME", help="a class or function in a file, or a registry name")
    parser.add_argument(
        "--against",
        metavar="A,B",
        default="relu,silu,lpflu",
        help="functions to compare with; the verdict is about the first (default: %(default)s)",
    )
    parser.add_argument(
        "--budget", type=seconds, metavar="TIME", default=600.0, help="time for all of it, such as 30m (default: 10m)"
    )
    parser.add_argument(
        "--tasks",
        metavar="A,B",
        default="classification,segmentation,detection",
        help="what is trained, the cheapest first (default: %(default)s)",
    )
    parser.add_argument(
        "--data.root",
        dest="data_root",
        action="append",
        default=[],
        metavar="[TASK=]DIR",
        help="folder with images of yours in the place of the embedded ones",
    )
    parser.add_argument("--json", action="store_true", help="print the JSON instead of a summary")
    parser.add_argument(
        "--level",
        type=float,
        default=0.05,
        help="chance of any false claim; a search divides it (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew where another try of this name is")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of pages and records (default: %(default)s)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Judge, print, and return 0 whatever the verdict.

    Raises:
        UserError: the function or an option is wrong.
    """
    from rich.console import Console

    from lpflu_bench.judging.judge import judge
    from lpflu_bench.judging.judgement import FILE
    from lpflu_bench.judging.text import print_summary

    tasks = _names(args.tasks)
    roots = {}
    for option in args.data_root:
        task, equals, folder = option.partition("=")
        if equals:
            roots[task] = folder
        elif len(tasks) == 1:
            roots[tasks[0]] = option
        else:
            raise UserError(f"--data.root {option}: write TASK=DIR with one of {', '.join(tasks)}")
    with Console(stderr=True).status("starting") as status:
        judgement = judge(
            args.function,
            _names(args.against),
            budget=args.budget,
            tasks=tasks,
            data_roots=roots,
            level=args.level,
            results=args.results,
            runs=args.runs,
            overwrite=args.overwrite,
            progress=status.update,
        )
    if args.json:
        sys.stdout.write((judgement.folder / FILE).read_text(encoding="utf-8"))
    else:
        print_summary(judgement)
    return 0


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
