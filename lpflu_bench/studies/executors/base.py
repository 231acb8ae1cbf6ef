"""What an executor is: it takes jobs and gives back what became of them; none of them touches the store."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from lpflu_bench.studies.cell import Job, Outcome


@dataclass(frozen=True)
class Option:
    """An option that an executor takes: a flag of ``study run`` and a keyword of the executor's constructor.

    Attributes:
        name: the keyword; the flag is ``--name`` with dashes.
        type: from the flag's text.
        help: one line.
        metavar: what the value is called in the help.
        repeated: whether the flag may be given several times; the keyword is then a list.
    """

    name: str
    type: Callable[[str], Any]
    help: str
    metavar: str | None = None
    repeated: bool = False

    @property
    def flag(self) -> str:
        """The flag."""
        return "--" + self.name.replace("_", "-")


class Executor(Protocol):
    """What runs jobs. Its constructor takes a folder for its own files and its options by keyword."""

    options: ClassVar[tuple[Option, ...]]

    def __init__(self, folder: Path, **options: Any) -> None:
        """Get ready.

        Raises:
            UserError: what it needs is not installed or cannot be reached.
        """

    def slots(self) -> int:
        """Return how many jobs may be submitted at once, now."""

    def submit(self, job: Job) -> None:
        """Take a job; at most :meth:`slots` at once."""

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Return what ended, after ``timeout`` seconds at the latest (this process's executor: when its job ends)."""

    def close(self) -> None:
        """End whatever is running, at once: a cell resumes from its last checkpoint."""


def positive_int(text: str) -> int:
    """Parse a whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text}")
    return value


def not_negative(text: str) -> float:
    """Parse a number of at least 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, not {text}")
    return value


def seconds(text: str) -> float:
    """Parse a time: seconds, or ``90m``, ``12h``, ``2d``.

    Raises:
        ArgumentTypeError: it is none, or not above 0.
    """
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    try:
        value = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a time above 0 such as 90m or 12h, not {text}")
    return value


WORKERS = Option("workers", positive_int, "number of parallel runs", "N")
TIME_LIMIT = Option("time_limit", seconds, "time limit per run from its start, such as 90m or 12h", "TIME")
CPUS_PER_CELL = Option("cpus_per_cell", not_negative, "CPU cores per run (default: 1)", "N")
GPUS_PER_CELL = Option("gpus_per_cell", not_negative, "GPUs per run; ray takes fractions such as 0.25", "N")
