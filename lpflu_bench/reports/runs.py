"""Sorts records into the places of a study: what was planned, what is there, what is missing."""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lpflu_bench.errors import NOT_FINITE, UserError
from lpflu_bench.records import Record, Session, Trained, Weights, metrics
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
        attempts: (place, activation) -> every record of any status, by seed, then by age.
        duplicates: further finished records of a run that is already there; the latest one counts.
    """

    places: list[Place]
    activations: list[str]
    values: dict[str, list[Any]]
    seeds: list[int]
    finished: dict[tuple[Place, str], dict[int, Record]]
    gaps: list[Gap] = field(default_factory=list)
    attempts: dict[tuple[Place, str], list[Record]] = field(default_factory=dict)
    duplicates: int = 0

    @cached_property
    def _gaps(self) -> dict[tuple[Place, str], list[Gap]]:
        found: dict[tuple[Place, str], list[Gap]] = defaultdict(list)
        for gap in self.gaps:
            found[gap.place, gap.activation].append(gap)
        return found

    def gaps_of(self, place: Place, activation: str) -> Sequence[Gap]:
        """Return a function's planned runs without a result at a place."""
        return self._gaps.get((place, activation), ())

    def records(self, place: Place) -> list[Record]:
        """Return the finished records of a place."""
        return [r for name in self.activations for r in self.finished.get((place, name), {}).values()]

    @cached_property
    def scores(self) -> dict[Place, dict[str, Score]]:
        """Place -> the scores that its finished records declare, by name."""
        return {place: declared_scores(self.records(place)) for place in self.places}

    @cached_property
    def sources(self) -> list[str]:
        """The different sources that the finished runs were trained or tested with."""
        return source_texts(record for group in self.finished.values() for record in group.values())

    @cached_property
    def shared_gpu(self) -> bool:
        """Whether finished runs were trained on one GPU at the same time, so that their speeds say nothing."""
        trainings = {
            record["trained"]["config_hash"]: record["trained"]
            for group in self.finished.values()
            for record in group.values()
        }
        held = [
            (start, end, gpu)
            for trained in trainings.values()
            if (gpu := _gpu(trained["environment"])) is not None
            for start, end in _sessions(trained)
        ]
        until: dict[str, str] = {}
        for start, end, gpu in sorted(held):
            if start < until.get(gpu, ""):
                return True
            until[gpu] = end
        return False

    def diverged(self, place: Place, activation: str) -> tuple[int, ...]:
        """Return the seeds of a function whose training diverged."""
        return tuple(gap.seed for gap in self.gaps_of(place, activation) if gap.diverged)

    def ended(self, place: Place, activation: str) -> list[int]:
        """Return the planned seeds in order up to the first that has neither a result nor diverged."""
        ended: list[int] = []
        done = self.finished.get((place, activation), {}).keys() | set(self.diverged(place, activation))
        for seed in self.seeds:
            if seed not in done:
                break
            ended.append(seed)
        return ended

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
        attempts = {key: records for key, records in self.attempts.items() if shown(*key)}
        return Runs(places, names, self.values, self.seeds, finished, gaps, attempts, self.duplicates)


def _gpu(environment: Mapping[str, Any]) -> str | None:
    """Return which GPU it was; where a record does not say it, equal ones count as one."""
    return environment.get("gpu") or (environment.get("device") if environment.get("cuda") else None)


def _sessions(trained: Trained) -> list[tuple[str, str]]:
    """Return from when to when it was trained, session by session where the record says so."""
    whole: Session = {"started_at": str(trained["started_at"]), "finished_at": trained["finished_at"]}
    return [
        (each["started_at"], each["finished_at"] or each["started_at"]) for each in trained.get("sessions", [whole])
    ]


def place_text(spec: ReportSpec, place: Place, without: Container[str] = ()) -> str:
    """Return a place in words, some axes left out: ``cifar100, optimizer adam``."""
    settings = zip(spec.axes, place.setting, strict=True)
    return ", ".join([place.task, *(f"{axis} {value}" for axis, value in settings if axis not in without)])


def cell_of(record: Record, axes: Sequence[str]) -> dict[str, Any]:
    """Return a record's task, activation, seed and axis values; what ``cell`` lacks comes from what was trained."""
    trained, cell = record["trained"], record.get("cell", {})
    return {key: cell[key] if key in cell else trained.get(key) for key in ("task", *axes, "activation", "seed")}


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


def _latest(record: Record) -> tuple[str, str]:
    return (record["written_at"], record["trained"]["config_hash"])


def collect(spec: ReportSpec, records: Sequence[Record]) -> Runs:
    """Sort the records of a study into its places.

    A record has the tests of one set of conditions (:func:`~lpflu_bench.records.by_condition`). A finished one beats any
    other of the same run; of several finished ones the latest counts. Partial ones count where the report includes them.
    """
    statuses = ("finished", "partial") if spec.include_partial else ("finished",)
    names = ("task", *spec.axes, "activation", "seed")
    cells = [cell_of(record, spec.axes) for record in records]
    plan = [{name: cell.get(name) for name in names} for cell in spec.planned]
    source = [*plan, *cells]
    orders = {name: _ordered((cell[name] for cell in source), bool(plan)) for name in names}
    activations = [str(value) for value in orders["activation"]]
    seeds = [int(seed) for seed in orders["seed"]]
    position = {
        name: {setting_text(value): index for index, value in enumerate(values)} for name, values in orders.items()
    }

    def place_key(place: Place) -> tuple[int, ...]:
        settings = zip(spec.axes, place.setting, strict=True)
        return (position["task"][place.task], *(position[axis][value] for axis, value in settings))

    runs_of = [(place_of(cell, spec.axes), str(cell["activation"]), int(cell["seed"])) for cell in source]
    places = sorted({place for place, *_ in runs_of}, key=place_key)
    found: dict[tuple[Place, str, int], list[Record]] = defaultdict(list)
    for run, record in zip(runs_of[len(plan) :], records, strict=True):
        found[run].append(record)
    wanted = runs_of[: len(plan)] or [(place, name, seed) for place in places for name in activations for seed in seeds]

    finished: dict[tuple[Place, str], dict[int, Record]] = defaultdict(dict)
    gaps = []
    every: dict[tuple[Place, str], list[Record]] = defaultdict(list)
    duplicates = 0
    rank = {place: number for number, place in enumerate(places)}
    for key in sorted({*wanted, *found}, key=lambda key: (rank[key[0]], activations.index(key[1]), key[2])):
        place, activation, seed = key
        attempts = sorted(found.get(key, []), key=_latest)
        every[place, activation] += attempts
        good = [record for record in attempts if record["status"] in statuses and record["tested"]]
        if good:
            finished[place, activation][seed] = good[-1]
            duplicates += len(good) - 1
        elif attempts:
            last = attempts[-1]
            gaps.append(Gap(place, activation, seed, last["status"], last["error"] or ""))
        else:
            gaps.append(Gap(place, activation, seed, "missing"))
    values = {axis: orders[axis] for axis in spec.axes}
    return Runs(places, activations, values, seeds, dict(finished), gaps, dict(every), duplicates)


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
    """Return the different sources that runs were trained or tested with: commits, and their hash where it is known.

    Commits with the same hash are one source: what else they change is not this package.
    """
    codes = [part["code"] for record in records for part in (record["trained"], *record["tested"])]
    commits: defaultdict[str, set[str]] = defaultdict(set)
    for code in codes:
        commit, package = (str(code[key] or "")[:10] for key in ("commit", "package"))
        commits[package or commit].add(commit if package else "")
    texts = [" ".join(filter(None, ("/".join(sorted(filter(None, names))), key))) for key, names in commits.items()]
    return [text or "unknown" for text in sorted(texts)]


def trained_networks(records: Iterable[Record]) -> set[str]:
    """Return the trained networks that records test, by what they were trained with: a further test makes no new one."""
    return {record["trained"]["config_hash"] for record in records}
