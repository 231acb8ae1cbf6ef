"""Where cells run: one class for each way, and one table of them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.studies.executors.base import Executor
from lpflu_bench.studies.executors.local import LocalExecutor
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.executors.ray import RayExecutor
from lpflu_bench.studies.executors.slurm import SlurmExecutor
from lpflu_bench.text import nearest

EXECUTORS: dict[str, type[Executor]] = {
    "process": ProcessExecutor,
    "local": LocalExecutor,
    "ray": RayExecutor,
    "slurm": SlurmExecutor,
}
DEFAULT = "process"


def add_executor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--executor`` and the options of all executors, each with the names of those that take it."""
    parser.add_argument("--executor", default=DEFAULT, metavar="NAME", help=f"where to run: {', '.join(EXECUTORS)}")
    takers: dict[str, list[str]] = {}
    options = {}
    for name, executor in EXECUTORS.items():
        for option in executor.options:
            takers.setdefault(option.name, []).append(name)
            options[option.name] = option
    for name, option in options.items():
        parser.add_argument(
            option.flag,
            dest=name,
            type=option.type,
            action="append" if option.repeated else "store",
            metavar=option.metavar,
            default=argparse.SUPPRESS,
            help=f"{', '.join(takers[name])}: {option.help}",
        )


def make_executor(name: str, options: Mapping[str, Any], folder: Path) -> Executor:
    """Return the executor called ``name``.

    Args:
        name: of the table.
        options: by keyword; those that were given.
        folder: where it may keep files of its own.

    Raises:
        UserError: there is none of that name, it has no such option, or what it needs is not there.
    """
    if name not in EXECUTORS:
        raise UserError(f"unknown executor '{name}'{nearest(name, EXECUTORS)}")
    known = {option.name for option in EXECUTORS[name].options}
    for given in options:
        if given not in known:
            takers = [other for other, executor in EXECUTORS.items() if given in {o.name for o in executor.options}]
            flag = "--" + given.replace("_", "-")
            raise UserError(
                f"{flag} is not an option of --executor {name}; it belongs to {' and '.join(takers) or 'none'}"
            )
    return EXECUTORS[name](folder, **options)


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the executor options that were given on the command line."""
    names = {option.name for executor in EXECUTORS.values() for option in executor.options}
    return {name: value for name, value in vars(args).items() if name in names}
