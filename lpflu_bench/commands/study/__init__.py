"""Run, watch and report a study: a grid of runs from one file.

lpflu-bench study plan   table1                   # what it is made of
lpflu-bench study run    table1 --data.root DIR   # again to resume
lpflu-bench study status table1
lpflu-bench study report table1                   # into results/table1/
lpflu-bench study rerun  table1 CELL              # from scratch
lpflu-bench study merge  table1 FOLDER ...        # other machines' records
"""

import argparse
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from lpflu_bench.commands.study import clean, launch, merge, plan, report, rerun, status, verify
from lpflu_bench.commands.study.session import RESULTS, RUNS, Session

ACTIONS: dict[str, ModuleType] = {
    "plan": plan,
    "run": launch,
    "status": status,
    "report": report,
    "rerun": rerun,
    "merge": merge,
    "verify": verify,
    "clean": clean,
}
"""Each has a function ``execute``, and ``add_arguments`` if it has options of its own; its docstring is its help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("study", help="a study file, or the name of one in configs/studies")
    common.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a configuration key for every cell"
    )
    common.add_argument("--only", action="append", default=[], metavar="AXIS=A,B", help="only these values of an axis")
    common.add_argument("--seeds", metavar="0,1,2", help="these seeds instead of the file's; 0-4 is a range")
    common.add_argument(
        "--data.root",
        dest="data_root",
        action="append",
        default=[],
        metavar="[TASK=]DIR",
        help="dataset root directory; `embedded` is the demo set",
    )
    common.add_argument("--results", type=Path, default=RESULTS, help="folder of records and reports")
    common.set_defaults(suggest=True)
    common.add_argument("--runs", type=Path, default=RUNS, help="folder of checkpoints and logs")
    for name, module in ACTIONS.items():
        summary = str(module.__doc__).strip().rstrip(".")
        action = actions.add_parser(name, parents=[common], help=summary, description=summary)
        if hasattr(module, "add_arguments"):
            module.add_arguments(action)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turn the garbage collector off: of thousands of records all stay, and it would walk them again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def run(args: argparse.Namespace) -> int:
    """Do what ``args.action`` says."""
    execute = ACTIONS[args.action].execute
    if args.action in ("run", "rerun"):  # may train in this process: needs the collector
        return int(execute(Session(args), args))
    with _uncollected():
        return int(execute(Session(args), args))
