"""Are a paper's claims found again? Published differences to the reference beside the measured ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lpflu_bench.inference.verdicts import Interval, Word
from lpflu_bench.records import Record
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.published import Published, differing_text, load_published
from lpflu_bench.reports.runs import Runs, place_text
from lpflu_bench.reports.spec import ReportSpec


class Finding(StrEnum):
    """What the measured interval says about a published difference."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Pair:
    """A function's published difference to the reference beside the measured one.

    Attributes:
        activation: the function.
        published: the paper's value minus that of its reference.
        difference: the measured one; None without common seeds.
        interval: the measured one's simultaneous interval; None where there is none.
        finding: what it says.
    """

    activation: str
    published: float
    difference: float | None
    interval: Interval | None
    finding: Finding

    @property
    def size_agrees(self) -> bool | None:
        """Whether the published difference lies in the measured interval; None where they cannot be compared."""
        if self.interval is None or self.finding == Finding.NOT_COMPARABLE:
            return None
        return self.interval.low <= self.published <= self.interval.high


@dataclass(frozen=True)
class ReplicatedColumn:
    """A measured column beside its published one.

    Attributes:
        column: the measured one.
        pairs: one a function that both have, in the study's order.
        differing: key -> (measured, published) of the settings in which the runs are not the published ones.
    """

    column: Column
    pairs: tuple[Pair, ...]
    differing: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Replication:
    """Everything that can be compared, and why the rest cannot."""

    table: str
    columns: tuple[ReplicatedColumn, ...]
    notes: tuple[str, ...] = field(default=())


def find(row: Row, published: float, column: Column) -> Finding:
    """Return what a row's verdict says about a published difference.

    Confirmed: a difference of the same sign is shown (or, where the paper has a difference below the margin,
    equivalence). Contradicted: one of the other sign is, or equivalence where the paper has a difference of the margin or more.
    """
    verdict = row.verdict
    if verdict.differs and row.comparison is not None:
        same = published * row.comparison.difference > 0
        return Finding.CONFIRMED if same else Finding.CONTRADICTED
    if verdict.word == Word.EQUIVALENT and column.margin is not None:
        return Finding.CONFIRMED if abs(published) < column.margin else Finding.CONTRADICTED
    return Finding.UNDECIDED


def _pairs(column: Column, published: Mapping[str, float], comparable: bool) -> tuple[Pair, ...]:
    base = published.get(column.reference)
    if base is None:
        return ()
    pairs = []
    for row in column.rows:
        if row.activation == column.reference or row.activation not in published:
            continue
        claimed = published[row.activation] - base
        finding = find(row, claimed, column) if comparable else Finding.NOT_COMPARABLE
        difference = row.comparison.difference if row.comparison else None
        pairs.append(Pair(row.activation, claimed, difference, row.interval, finding))
    return tuple(pairs)


def replicate(spec: ReportSpec, runs: Runs, columns: Sequence[Column]) -> Replication | None:
    """Put the published differences beside the measured ones; None if the study names no published table.

    A measured place matches published rows of the same task, network and settings. Where its runs were not trained with
    the settings that the paper states, the values stand beside one another, the settings are named, and nothing is said.

    Raises:
        UserError: the published table cannot be read.
    """
    if spec.published is None:
        return None
    table = load_published(spec.published)
    compared: list[ReplicatedColumn] = []
    reasons: dict[str, list[str]] = {}
    for column in columns:
        place = column.place
        where = place_text(spec, place)
        records = runs.records(place)
        networks = sorted({record["trained"]["network"] for record in records})
        if len(networks) != 1:
            reasons.setdefault(f"several networks ({', '.join(networks)}) in one place", []).append(where)
            continue
        setting = dict(zip(spec.axes, place.setting, strict=True))
        published, reason = table.values(place.task, networks[0], column.score.name, setting)
        if not reason and column.reference not in published:
            reason = f"the published table does not have the reference {column.reference}"
        differing = _differing(table, place.task, setting, records)
        pairs = _pairs(column, published, comparable=not differing)
        if not reason and not pairs:
            reason = "no function of the published table was measured"
        if reason:
            reasons.setdefault(reason, []).append(where)
        else:
            compared.append(ReplicatedColumn(column, pairs, differing))
    notes = [f"Not compared: {'; '.join(dict.fromkeys(at))} ({reason})." for reason, at in reasons.items()]
    if not table.settings:
        notes.append("The settings of the published runs are not stated, so the measured ones were not checked.")
    return Replication(table.name, tuple(compared), tuple(notes))


def _differing(
    table: Published, task: str, setting: Mapping[str, str], records: Sequence[Record]
) -> dict[str, tuple[Any, Any]]:
    differing: dict[str, tuple[Any, Any]] = {}
    for record in records:
        differing |= table.differing(task, setting, record["trained"]["config"])
    return differing


def differing_note(item: ReplicatedColumn) -> str:
    """Return why a column's findings are withheld; nothing where they are not."""
    if not item.differing:
        return ""
    return f"Not the published settings, so nothing is concluded: {differing_text(item.differing)}."
