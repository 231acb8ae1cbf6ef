"""Sorts records into the places of a study: what was planned, what is there, what is missing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.errors import NOT_FINITE, UserError
from lpflu_bench.records import config_hash
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
    """``failed``, ``fitted`` (trained, not tested) or ``missing``."""
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
    finished: dict[tuple[Place, str], dict[int, Mapping[str, Any]]]
    gaps: list[Gap] = field(default_factory=list)
    duplicates: int = 0

    def records(self, place: Place) -> list[Mapping[str, Any]]:
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

    def sorted(self, spec: ReportSpec, records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
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


def cell_of(record: Mapping[str, Any], axes: Sequence[str]) -> dict[str, Any]:
    """Return a record's task, activation, seed and axis values; what ``cell`` lacks comes from the record itself."""
    cell = record.get("cell") or {}
    return {key: cell.get(key, record.get(key)) for key in ("task", *axes, "activation", "seed")}


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


def _latest(record: Mapping[str, Any]) -> tuple[str, str]:
    return (str(record.get("finished_at") or record.get("started_at") or ""), str(record.get("config_hash") or ""))


def collect(spec: ReportSpec, records: Sequence[Mapping[str, Any]]) -> Runs:
    """Sort the records of a study into its places.

    A finished record beats a failed one of the same run; of several finished ones the latest counts.
    """
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
    found: dict[tuple[Place, str, int], list[Mapping[str, Any]]] = defaultdict(list)
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
        good = [record for record in attempts if record.get("status") == "finished" and record.get("metrics")]
        if good:
            runs.finished.setdefault((place, activation), {})[seed] = good[-1]
            runs.duplicates += len(good) - 1
        elif attempts:
            last = attempts[-1]
            runs.gaps.append(Gap(place, activation, seed, str(last.get("status")), str(last.get("error") or "")))
        else:
            runs.gaps.append(Gap(place, activation, seed, "missing"))
    return runs


def declared_scores(records: Iterable[Mapping[str, Any]]) -> dict[str, Score]:
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


def metric_value(record: Mapping[str, Any], metric: str, weights: str = "raw") -> float | None:
    """Return a metric of the raw or averaged weights; None if it is not there or not a finite number."""
    value = (record.get("metrics" if weights == "raw" else "metrics_averaged") or {}).get(metric)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def trained_config(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration that a record's network was trained with."""
    config: Mapping[str, Any] = record.get("config") or {}
    return config


def trained_networks(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the trained networks that records test, by what they were trained with: a further test makes no new one."""
    networks = set()
    for record in records:
        config = dict(trained_config(record))
        data = config.get("data") or {}
        init_args = {key: value for key, value in (data.get("init_args") or {}).items() if not key.startswith("test_")}
        config["data"] = {**data, "init_args": init_args}
        networks.add(config_hash(config))
    return networks
