"""Errors that are for the person at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""
NOT_FINITE = "the loss is not finite"
"""How the error of a training that diverged begins."""


class UserError(Exception):
    """Something the user can put right.

    The message is one line: what was wrong, where (file, key), what to do. The command prints it without a trace and
    exits with status 2; any other exception is a fault of ours and keeps its trace.
    """


def one_line(error: BaseException | str, limit: int = 400) -> str:
    """Return a library's message as one line: its white space collapsed, and cut after ``limit`` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " ..."


@contextmanager
def blamed_on(key: str) -> Iterator[None]:
    """Say of which setting it is that a constructor refuses the value (raises ValueError or TypeError).

    Raises:
        UserError: the refusal in one line that names ``key``.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        line = one_line(error)
        raise UserError(line if key in line else f"{key}: {line}") from error


def check_range(
    key: str,
    value: float,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> None:
    """Refuse a number outside its range; not-a-number is outside every one.

    Raises:
        UserError: names ``key``, the value and the range.
    """
    inside = (
        (at_least is None or value >= at_least)
        and (above is None or value > above)
        and (at_most is None or value <= at_most)
        and (below is None or value < below)
    )
    if not inside:
        limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
        allowed = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
        raise UserError(f"{key} is {value:g}: it must be {allowed}")
