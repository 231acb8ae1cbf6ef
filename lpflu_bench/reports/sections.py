"""What a report shows beside the comparison of functions: corruption errors, deployed networks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lpflu_bench.records import Record


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        title: what it is of; empty for a section with one table.
        head: column names.
        lines: the rows.
        texts: the first so many columns are words, the others numbers.
    """

    title: str
    head: list[str]
    lines: list[list[str]]
    texts: int = 1


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        name: of its CSV file, and of its anchor on the page.
        title: its heading.
        note: how to read it.
        tables: for people.
        rows: for programs: dictionaries with the same keys.
    """

    name: str
    title: str
    note: str
    tables: list[TextTable]
    rows: list[dict[str, Any]]


def trainings_by_setting(records: Iterable[Record]) -> dict[str, dict[tuple[str, int], list[Record]]]:
    """Return setting -> (function, seed) -> the records of that training: one for each of its tests.

    A setting is what a training is called in its study but for function and seed, in words.
    """
    trainings: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        trainings[record["trained"]["config_hash"]].append(record)
    test_axes = _test_axes(trainings.values())
    found: dict[str, dict[tuple[str, int], list[Record]]] = defaultdict(dict)
    for group in trainings.values():
        labels = _labels(group[0], test_axes)
        run = str(labels.pop("activation")), int(labels.pop("seed"))
        found[", ".join(str(value) for value in labels.values())][run] = group
    return found


def _test_axes(groups: Iterable[Sequence[Record]]) -> set[str]:
    """Return the labels that differ between tests of one training: they are not settings of a training."""
    differing = set()
    for group in groups:
        cells = [record.get("cell", {}) for record in group]
        differing |= {key for cell in cells for key in cell if any(other.get(key) != cell[key] for other in cells)}
    return differing


def _labels(record: Record, left_out: set[str]) -> dict[str, Any]:
    """Return what a training is called in its study."""
    trained: Mapping[str, Any] = record["trained"]
    labels = {key: trained[key] for key in ("task", "network", "activation", "seed")}
    merged = {**labels, **record.get("cell", {})}
    return {key: value for key, value in merged.items() if key not in {"study", "stage", *left_out}}
