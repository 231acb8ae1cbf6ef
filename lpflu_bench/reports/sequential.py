"""Which seeds a sequential study still needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from lpflu_bench.inference.sequential import FUTILE, Stop, stop
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.runs import Place


@dataclass(frozen=True)
class Progress:
    """How far a function at a place is.

    Attributes:
        place: where.
        activation: the function; the reference is not among them.
        look: the look it is at, from 0 (none yet).
        wanted: seeds up to its next look; empty where it needs no more.
        state: in words.
    """

    place: Place
    activation: str
    look: int
    wanted: tuple[int, ...]
    state: str


def progress(analysis: Analysis, places: Sequence[Place] | None = None) -> list[Progress]:
    """Return for every function at every place how far it is, by the main score.

    A function is done when it is decided (better, worse or equivalent), at its last look, or when a decision by then has
    become unlikely: stopping for that can only make fewer claims, so it costs nothing of the level.
    """
    columns = {column.place: column for column in analysis.main_columns}
    found = []
    for place in places if places is not None else analysis.runs.places:
        for activation in analysis.runs.activations:
            if activation != analysis.spec.reference:
                found.append(_progress(analysis, columns.get(place), place, activation))
    return found


def wanted_seeds(analysis: Analysis) -> dict[tuple[Place, str], set[int]]:
    """Return (place, function) -> the seeds that are to be run up to its next look, the reference's too."""
    wanted: dict[tuple[Place, str], set[int]] = {}
    for item in progress(analysis):
        wanted.setdefault((item.place, item.activation), set()).update(item.wanted)
        wanted.setdefault((item.place, analysis.spec.reference), set()).update(item.wanted)
    return wanted


def _progress(analysis: Analysis, column: Column | None, place: Place, activation: str) -> Progress:
    looks, seeds = analysis.spec.rule.looks, analysis.runs.seeds
    row = column.row(activation) if column else None
    look = row.look if row else 0
    state = _state(analysis, column, row) if column and row else ""
    if state:
        return Progress(place, activation, look, (), state)
    following = looks[min(look, len(looks) - 1)]
    return Progress(place, activation, look, tuple(seeds[:following]), f"needs {following} seeds for look {look + 1}")


def _state(analysis: Analysis, column: Column, row: Row) -> str:
    """Return why a function needs no more seeds; nothing if it does."""
    rule = analysis.spec.rule
    why = stop(
        row.comparison,
        row.verdict,
        look=row.look,
        rule=rule,
        family=len(analysis.runs.activations) - 1,
        margin=column.margin,
    )
    if why == Stop.DECIDED:
        return f"{row.verdict.word} at look {row.look} of {len(rule.looks)}"
    if why == Stop.LAST_LOOK:
        return f"{row.verdict.word} at the last look"
    if why == Stop.FUTILE:
        return (
            f"undecided, and futile: {rule.looks[-1]} seeds would decide with a probability below {100 * FUTILE:.0f} %"
        )
    return ""
