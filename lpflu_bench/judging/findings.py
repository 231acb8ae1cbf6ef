"""What a check of a function found, in a form that travels between processes."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

FATAL_STEPS = ("start", "load", "shape", "repeatable", "float32", "memory")
"""A function that dies or hangs in one of these is not trained."""

COMPILED_NETWORK = "cost in a compiled network"
"""The step that takes minutes, and that a small budget does without."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"
    """A property that is neither good nor bad."""


@dataclass(frozen=True)
class Finding:
    """One line of the answer to "is it sound?".

    Attributes:
        check: what was looked at.
        outcome: how it ended.
        text: what was found.
        reproduce: a line of Python that shows a failure again; empty where there is nothing to show.
        fatal: a training with the function would be pointless or impossible.
    """

    check: str
    outcome: Outcome
    text: str
    reproduce: str = ""
    fatal: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def finding_from_dict(fields: dict[str, Any]) -> Finding:
    """Return a finding that came through JSON."""
    return Finding(**{**fields, "outcome": Outcome(fields["outcome"])})
