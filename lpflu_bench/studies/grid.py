"""From a study to its plan: every combination of its axes, resolved by the command line's own parser."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lpflu_bench.errors import UserError
from lpflu_bench.identity import CONDITION_KEYS, conditions, config_hash, leaves
from lpflu_bench.paths import resource_path
from lpflu_bench.scores import Score
from lpflu_bench.studies.cell import PlannedTest
from lpflu_bench.studies.keys import Flat, flatten, nest, overlaps
from lpflu_bench.studies.plan import EMBEDDED, FINAL, ROOT_KEY, SEED_KEY, TUNE, Cell, Plan
from lpflu_bench.studies.study import Axis, Study, Value
from lpflu_bench.text import nearest, setting_text
from lpflu_bench.yaml_files import read_yaml


class Resolve(Protocol):
    """What the grid needs of :class:`~lpflu_bench.studies.resolve.Resolver`."""

    def resolve(self, files: list[str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a resolved configuration."""

    def check(self, config: Mapping[str, Any]) -> None:
        """Raise UserError if a part of it cannot be built."""

    def scores(self, config: Mapping[str, Any]) -> tuple[Score, ...]:
        """Return the scores that its module reports."""

    def network_name(self, config: Mapping[str, Any]) -> str:
        """Return its network's name in records and tables."""


# --- combining axes --------------------------------------------------------------------------------------------------


def _keys(axis: Axis) -> set[str]:
    """Return the keys that an axis touches, those of its overlay files included."""
    keys: set[str] = set()
    for value in axis.values:
        for key, setting in value.settings.items():
            if key == "config":
                keys |= {".".join(path) for path in flatten(read_yaml(resource_path(setting)))}
            else:
                keys.add(key)
    return keys


def _dependent_groups(axes: list[Axis]) -> list[list[Axis]]:
    """Put axes together whose keys contain one another: an optimizer's class decides which settings it takes."""
    groups: list[tuple[list[Axis], set[str]]] = []
    for axis in axes:
        keys = _keys(axis)
        joined: list[Axis] = []
        rest = []
        for members, theirs in groups:
            if any(overlaps(a, b) for a in keys for b in theirs):
                joined += members
                keys |= theirs
            else:
                rest.append((members, theirs))
        groups = [*rest, ([*joined, axis], keys)]
    return [members for members, _ in groups]


class _Combiner:
    """Resolved configurations of every combination of axes, from few parses.

    Groups of axes touch different keys: a combination's configuration is the first point's with each group's
    differences. So each group's own combinations alone are parsed.
    """

    def __init__(
        self, study: str, resolver: Resolve, files: list[str], settings: Mapping[str, Any], axes: list[Axis]
    ) -> None:
        self._study, self._resolver, self._files, self._settings = study, resolver, files, dict(settings)
        self._groups = _dependent_groups(axes)
        self._first = {axis.name: axis.values[0] for axis in axes}
        self._start = self._parse({})
        self._changes: dict[tuple[tuple[str, Any], ...], tuple[Flat, set[tuple[str, ...]]]] = {}
        for group in self._groups:
            for values in itertools.product(*(axis.values for axis in group)):
                chosen = {axis.name: value for axis, value in zip(group, values, strict=True)}
                flat = self._parse(chosen)
                changed = {path: v for path, v in flat.items() if path not in self._start or self._start[path] != v}
                self._changes[self._key(group, chosen)] = (changed, self._start.keys() - flat.keys())

    @staticmethod
    def _key(group: list[Axis], chosen: Mapping[str, Value]) -> tuple[tuple[str, Any], ...]:
        return tuple((axis.name, chosen[axis.name].label) for axis in group)

    def _parse(self, chosen: Mapping[str, Value]) -> Flat:
        values = {**self._first, **chosen}
        files, settings = list(self._files), dict(self._settings)
        for value in values.values():
            for key, setting in value.settings.items():
                if key == "config":
                    files.append(setting)
                else:
                    settings[key] = setting
        try:
            config = self._resolver.resolve(files, settings)
            self._resolver.check(config)
        except UserError as error:
            named = ", ".join(f"{name} = {setting_text(value.label)}" for name, value in (chosen or values).items())
            raise UserError(f"study {self._study}: {self._files[0]} with {named or 'no axis'}: {error}") from error
        return flatten(config)

    def combine(self, chosen: Mapping[str, Value]) -> Flat:
        flat = dict(self._start)
        for group in self._groups:
            changed, removed = self._changes[self._key(group, chosen)]
            for path in removed:
                flat.pop(path, None)
            flat.update(changed)
        return flat


# --- the plan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Combination:
    """One combination of axis values."""

    labels: dict[str, Any]
    flat: Flat
    seeds: tuple[int, ...]
    stage: str
    choice: Any
    base: str


def _expand(study: Study, resolver: Resolve) -> Iterator[_Combination]:
    """Yield every combination."""
    activations = study.axis("activation")
    swept = [axis for axis in study.axes if axis.name != "activation"]
    stages: list[tuple[str, Mapping[str, Any], tuple[int, ...], list[Axis]]] = [(FINAL, {}, study.seeds, [])]
    if study.tuning:
        tuning = study.tuning
        stages = [(TUNE, tuning.settings, tuning.seeds, [tuning.axis]), (FINAL, {}, study.seeds, [tuning.axis])]
    for (stage, extra, seeds, tuned), base in itertools.product(stages, study.bases):
        axes = [*swept, *tuned, activations]
        combiner = _Combiner(study.name, resolver, [base, *study.overlays], {**study.settings, **extra}, axes)
        for values in itertools.product(*(axis.values for axis in axes)):
            chosen = {axis.name: value for axis, value in zip(axes, values, strict=True)}
            flat = combiner.combine(chosen)
            labels = {
                "study": study.name,
                "task": str(flat[("task",)]),
                "network": resolver.network_name(
                    nest({key: value for key, value in flat.items() if key[0] == "model"})
                ),
                "activation": chosen["activation"].label,
                **{axis.name: chosen[axis.name].label for axis in swept},
            }
            yield _Combination(labels, flat, seeds, stage, chosen[tuned[0].name].label if tuned else None, base)


class _TestAxes:
    """The combinations of a study's test axes for one base."""

    def __init__(self, study: Study, resolver: Resolve, base: str) -> None:
        self._tests: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []
        files = [base, *study.overlays]
        for values in itertools.product(*(axis.values for axis in study.tests)):
            labels = {axis.name: value.label for axis, value in zip(study.tests, values, strict=True)}
            settings = {key: setting for value in values for key, setting in value.settings.items()}
            try:
                config = resolver.resolve(files, {**study.settings, **settings})
                resolver.check(config)
            except UserError as error:
                named = ", ".join(f"{name} = {setting_text(label)}" for name, label in labels.items())
                raise UserError(
                    f"study {study.name}: {base} with the test {named or 'without conditions'}: {error}"
                ) from error
            touched = {key for key in CONDITION_KEYS if any(overlaps(key, name) for name in settings)}
            self._tests.append((labels, settings, {k: v for k, v in leaves(config) if k in touched}))

    def of(self, config: Mapping[str, Any]) -> tuple[PlannedTest, ...]:
        """Return the tests of a resolved configuration."""
        return tuple(
            PlannedTest(labels, settings, conditions(config, config, changed))
            for labels, settings, changed in self._tests
        )


def _scores(study: Study, resolver: Resolve, templates: Iterable[Flat]) -> tuple[Score, ...]:
    """Return the declarations of the study's metrics.

    Raises:
        UserError: a metric is reported by none of the study's modules.
    """
    first = {str(flat["task",]): flat for flat in templates}  # of a task: its axes do not change what it reports
    known = {score.name: score for flat in first.values() for score in resolver.scores(nest(flat))}
    for name in study.metrics:
        if name not in known:
            raise UserError(
                f"study {study.name}: metrics: '{name}' is reported by none of its tasks{nearest(name, known)}"
            )
    return tuple(known[name] for name in study.metrics)


def make_plan(study: Study, resolver: Resolve, embedded: frozenset[str] = frozenset()) -> Plan:
    """Expand and validate a study: every configuration is resolved by the command line's own parser.

    Cells come seed by seed, so that a study that is stopped has whole comparisons.

    Args:
        study: what to expand.
        resolver: the command line's parser.
        embedded: tasks that run on their embedded demo data instead of their own.

    Raises:
        UserError: an axis value makes an invalid configuration, two cells are the same run, or no module reports a
            metric.
    """
    combinations = list(_expand(study, resolver))
    for combination in combinations:
        if combination.flat["task",] in embedded:
            combination.flat[ROOT_KEY] = EMBEDDED
    templates = tuple(combination.flat for combination in combinations)
    axes = {base: _TestAxes(study, resolver, base) for base in study.bases}
    plain = replace(study, tests=())
    tuning = {base: _TestAxes(plain, resolver, base) for base in study.bases}
    tests = tuple(
        (axes if combination.stage == FINAL else tuning)[combination.base].of(nest(combination.flat))
        for combination in combinations
    )
    cells: list[Cell] = []
    seen: dict[str, Cell] = {}
    for stage in (TUNE, FINAL):
        seeds = tuple(dict.fromkeys(seed for c in combinations if c.stage == stage for seed in c.seeds))
        for seed, (index, one) in itertools.product(seeds, enumerate(combinations)):
            if one.stage != stage:
                continue
            digest = config_hash(nest({**one.flat, SEED_KEY: seed}))
            cell = Cell(digest, {**one.labels, "seed": seed}, index, seed, stage, one.choice)
            if digest in seen:
                raise UserError(
                    f"study {study.name}: '{seen[digest]}' and '{cell}' are the same run; an axis sets nothing new"
                )
            seen[digest] = cell
            cells.append(cell)
    return Plan(tuple(cells), templates, _scores(study, resolver, templates), tests)
