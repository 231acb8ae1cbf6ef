"""Sorts records into the places of a study: what was planned, what is there, what is missing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.errors import NOT_FINITE, UserError
from lpflu_bench.records import Record, Weights, metrics
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.scores import Score, recorded_scores
from lpflu_bench.text import setting_text


@dataclass(frozen=True)
class Place:
    """Where functions are compared with one another: a task and one value on every axis."""

    task: str
    setting: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """A planned run without a result."""

    place: Place
    activation: str
    seed: int
    status: str
    """Of the record (``failed``, ``fitted``: trained, not tested; ...), or ``missing``."""
    error: str = ""

    @property
    def diverged(self) -> bool:
        """Whether the training's loss became infinite or NaN: a result, if not a score."""
        return self.status == "failed" and NOT_FINITE in self.error


@dataclass
class Runs:
    """The records of a study by place, function and seed.

    Attributes:
        places: in the order of the plan.
        activations: in the order of the plan.
        values: axis -> its values as planned (numbers stay numbers), in order.
        seeds: in the order of the plan.
        finished: (place, activation) -> seed -> record.
        gaps: planned runs without a result.
        duplicates: further finished records of a run that is already there; the latest one counts.
    """

    places: list[Place]
    activations: list[str]
    values: dict[str, list[Any]]
    seeds: list[int]
    finished: dict[tuple[Place, str], dict[int, Record]]
    gaps: list[Gap] = field(default_factory=list)
    duplicates: int = 0

    def records(self, place: Place) -> list[Record]:
        """Return the finished records of a place."""
        return [r for name in self.activations for r in self.finished.get((place, name), {}).values()]

    def diverged(self, place: Place, activation: str) -> tuple[int, ...]:
        """Return the seeds of a function whose training diverged."""
        return tuple(g.seed for g in self.gaps if g.place == place and g.activation == activation and g.diverged)

    def ended(self, place: Place, activation: str) -> list[int]:
        """Return the planned seeds in order up to the first that has neither a result nor diverged."""
        ended: list[int] = []
        done = self.finished.get((place, activation), {}).keys() | set(self.diverged(place, activation))
        for seed in self.seeds:
            if seed not in done:
                break
            ended.append(seed)
        return ended

    def sorted(self, spec: ReportSpec, records: Iterable[Record]) -> list[Record]:
        """Return the records that belong to these places and functions, in their order."""
        places = {place: number for number, place in enumerate(self.places)}
        functions = {name: number for number, name in enumerate(self.activations)}
        found = []
        for record in records:
            cell = cell_of(record, spec.axes)
            place, activation = place_of(cell, spec.axes), str(cell["activation"])
            if place in places and activation in functions:
                found.append(((places[place], functions[activation], int(cell["seed"]), *_latest(record)), record))
        found.sort(key=lambda item: item[0])
        return [record for _, record in found]

    def narrowed(self, spec: ReportSpec) -> "Runs":
        """Return what ``spec.only`` leaves, the reference included."""
        if not spec.only:
            return self

        def shown(place: Place, activation: str) -> bool:
            cell = {"task": place.task, **dict(zip(spec.axes, place.setting, strict=True)), "activation": activation}
            return all(
                cell[name] in wanted or (name == "activation" and activation == spec.reference)
                for name, wanted in spec.only.items()
                if name in cell
            )

        finished = {key: runs for key, runs in self.finished.items() if shown(*key)}
        gaps = [gap for gap in self.gaps if shown(gap.place, gap.activation)]
        places = [place for place in self.places if any(shown(place, name) for name in self.activations)]
        names = [name for name in self.activations if any(shown(place, name) for place in places)]
        return Runs(places, names, self.values, self.seeds, finished, gaps, self.duplicates)


def place_text(spec: ReportSpec, place: Place) -> str:
    """Return a place in words: ``cifar100, optimizer adam``."""
    return ", ".join([place.task, *(f"{axis} {value}" for axis, value in zip(spec.axes, place.setting, strict=True))])


def cell_of(record: Record, axes: Sequence[str]) -> dict[str, Any]:
    """Return a record's task, activation, seed and axis values; what ``cell`` lacks comes from what was trained."""
    cell = {**record["trained"], **record.get("cell", {})}
    return {key: cell.get(key) for key in ("task", *axes, "activation", "seed")}


def place_of(cell: Mapping[str, Any], axes: Sequence[str]) -> Place:
    """Return where a cell belongs."""
    return Place(str(cell["task"]), tuple(setting_text(cell[axis]) for axis in axes))


def _ordered(values: Iterable[Any], planned: bool) -> list[Any]:
    """Return distinct values (by their text): in the order given, or sorted (numbers as numbers) where none is."""
    distinct = list({setting_text(value): value for value in values}.values())
    if planned:
        return distinct

    def key(value: Any) -> tuple[int, float, str]:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return (0, value, "") if number else (1, 0.0, setting_text(value))

    return sorted(distinct, key=key)


def _seed(cell: Mapping[str, Any]) -> int:
    return int(cell["seed"])


def _latest(record: Record) -> tuple[str, str]:
    return (record["written_at"], record["trained"]["config_hash"])


def collect(spec: ReportSpec, records: Sequence[Record]) -> Runs:
    """Sort the records of a study into its places.

    A record has the tests of one set of conditions (:func:`~lpflu_bench.records.by_condition`). A finished one beats any
    other of the same run; of several finished ones the latest counts. Partial ones count where the report includes them.
    """
    statuses = ("finished", "partial") if spec.include_partial else ("finished",)
    cells = [cell_of(record, spec.axes) for record in records]
    plan = [{key: cell.get(key) for key in ("task", *spec.axes, "activation", "seed")} for cell in spec.planned]
    known = bool(plan)
    source = [*plan, *cells] if known else cells
    orders = {
        key: _ordered((cell[key] for cell in source), known) for key in ("task", *spec.axes, "activation", "seed")
    }
    position = {
        key: {setting_text(value): index for index, value in enumerate(values)} for key, values in orders.items()
    }

    def place_key(place: Place) -> tuple[int, ...]:
        settings = zip(spec.axes, place.setting, strict=True)
        return (position["task"][place.task], *(position[axis][value] for axis, value in settings))

    places = sorted({place_of(cell, spec.axes) for cell in source}, key=place_key)
    activations = [str(value) for value in orders["activation"]]
    found: dict[tuple[Place, str, int], list[Record]] = defaultdict(list)
    for cell, record in zip(cells, records, strict=True):
        found[place_of(cell, spec.axes), str(cell["activation"]), _seed(cell)].append(record)
    if known:
        wanted = [(place_of(cell, spec.axes), str(cell["activation"]), _seed(cell)) for cell in plan]
    else:
        wanted = [(place, name, int(seed)) for place in places for name in activations for seed in orders["seed"]]

    seeds = [int(seed) for seed in orders["seed"]]
    runs = Runs(places, activations, {axis: orders[axis] for axis in spec.axes}, seeds, {})
    for key in sorted({*wanted, *found}, key=lambda key: (place_key(key[0]), activations.index(key[1]), key[2])):
        place, activation, seed = key
        attempts = sorted(found.get(key, []), key=_latest)
        good = [record for record in attempts if record["status"] in statuses and record["tested"]]
        if good:
            runs.finished.setdefault((place, activation), {})[seed] = good[-1]
            runs.duplicates += len(good) - 1
        elif attempts:
            last = attempts[-1]
            runs.gaps.append(Gap(place, activation, seed, last["status"], last["error"] or ""))
        else:
            runs.gaps.append(Gap(place, activation, seed, "missing"))
    return runs


def declared_scores(records: Iterable[Record]) -> dict[str, Score]:
    """Return the scores that records declare, by name.

    Raises:
        UserError: two records do not mean the same by a name.
    """
    declared: dict[str, Score] = {}
    for record in records:
        for name, score in recorded_scores(record).items():
            if (other := declared.setdefault(name, score)) != score:
                raise UserError(
                    f"the records do not mean the same by '{name}': {other.direction} is better in one "
                    f"({other.title}), {score.direction} in another ({score.title}); report them apart"
                )
    return declared


def metric_value(record: Record, metric: str, weights: Weights = "raw") -> float | None:
    """Return a metric of the raw or averaged weights; None if it is not there or not a finite number."""
    value = metrics(record, weights).get(metric)
    return float(value) if value is not None and math.isfinite(value) else None


def source_texts(records: Iterable[Record]) -> list[str]:
    """Return the different sources that runs were trained or tested with: commit, and their hash where it is known."""
    codes = [part["code"] for record in records for part in (record["trained"], *record["tested"])]
    texts = {(str(code["commit"] or "")[:10], str(code["package"] or "")[:10]) for code in codes}
    return [" ".join(filter(None, parts)) or "unknown" for parts in sorted(texts)]


def trained_networks(records: Iterable[Record]) -> set[str]:
    """Return the trained networks that records test, by what they were trained with: a further test makes no new one."""
    return {record["trained"]["config_hash"] for record in records}
