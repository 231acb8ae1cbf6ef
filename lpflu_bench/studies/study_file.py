"""Reading a study file, and saying what is wrong with it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.identity import CONDITION_KEYS
from lpflu_bench.inference.rule import MIN_SEEDS, Rule
from lpflu_bench.paths import resource_path
from lpflu_bench.studies.keys import overlaps
from lpflu_bench.studies.study import ACTIVATION_KEY, Axis, Study, Tuning, Value
from lpflu_bench.text import nearest, setting_text
from lpflu_bench.yaml_files import read_yaml

FOLDER = "configs/studies"
PUBLISHED = "results/published"
_KEYS = {
    "title", "description", "base", "overlays", "set", "axes", "seeds", "metrics", "reference", "published", "test", "tune",
    "inference",
}  # fmt: skip
_TUNE_KEYS = {"axis", "set", "seeds", "metric"}
_INFERENCE_KEYS = {"level", "margin", "looks"}
# Names a cell has without being asked for; an axis of the same name would hide them. `network` may be an axis (its
# values are then its labels).
_RESERVED = {"study", "task", "seed", "stage", "base"}


class _Reader:
    """Takes a mapping apart and says where in which file something is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, where: str, problem: str) -> UserError:
        return UserError(f"{self.path}: {where}: {problem}" if where else f"{self.path}: {problem}")

    def mapping(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.error(where, f"must be a mapping of names to values, not {value!r}")
        return {_text(key): item for key, item in value.items()}

    def known(self, value: Mapping[str, Any], keys: Iterable[str], where: str = "") -> None:
        for key in value:
            if key not in keys:
                raise self.error(where, f"unknown key '{key}'{nearest(key, keys)}")

    def strings(self, value: Any, where: str) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(where, f"must be a name or a list of names, not {value!r}")
        return tuple(items)

    def seeds(self, value: Any, where: str = "seeds") -> tuple[int, ...]:
        if isinstance(value, str):
            return parse_seeds(value)
        items = [value] if isinstance(value, int) else value
        if not isinstance(items, list) or not items or not all(type(item) is int and item >= 0 for item in items):
            raise self.error(where, f"must be a list of whole numbers >= 0, such as [0, 1, 2], not {value!r}")
        if len(set(items)) < len(items):
            raise self.error(where, f"{items} has a seed twice")
        return tuple(items)

    def published(self, value: Any) -> str | None:
        if value is not None:
            try:
                published_path(str(value))
            except UserError as error:
                raise self.error("published", str(error)) from error
        return None if value is None else str(value)

    def axis(self, name: str, given: Any, where: str) -> Axis:
        if name in _RESERVED:
            raise self.error(where, f"an axis cannot be called '{name}'")
        return self._check(make_axis(name, given, self.error), where)

    def _check(self, axis: Axis, where: str) -> Axis:
        labels = [setting_text(value.label) for value in axis.values]
        if not labels:
            raise self.error(where, "has no values")
        for label in labels:
            if labels.count(label) > 1:
                raise self.error(where, f"has the value {label} twice")
        return axis

    def tests(self, given: Any, taken: Iterable[str]) -> tuple[Axis, ...]:
        axes = tuple(self.axis(name, values, f"test.{name}") for name, values in self.mapping(given, "test").items())
        for axis in axes:
            if axis.name in taken:
                raise self.error(f"test.{axis.name}", "an axis of the trainings has this name")
            check_conditions(axis, self.error)
        return axes

    def tuning(self, given: Any, metrics: Sequence[str]) -> Tuning:
        section = self.mapping(given, "tune")
        self.known(section, _TUNE_KEYS, "tune")
        axes = self.mapping(section.get("axis", {}), "tune.axis")
        if len(axes) != 1:
            raise self.error(
                "tune.axis", "must hold one setting and its values, such as {model.optimizer.lr: [0.1, 0.2]}"
            )
        (name, values), *_ = axes.items()
        metric = str(section.get("metric", metrics[0]))
        if metric not in metrics:
            raise self.error("tune.metric", f"'{metric}' is not among the study's metrics{nearest(metric, metrics)}")
        return Tuning(
            axis=self.axis(name, values, f"tune.axis.{name}"),
            settings=self.mapping(section.get("set", {}), "tune.set"),
            seeds=self.seeds(section.get("seeds", [0]), "tune.seeds"),
            metric=metric,
        )

    def rule(self, given: Any, metrics: Sequence[str], seeds: Sequence[int]) -> Rule:
        section = self.mapping(given, "inference")
        self.known(section, _INFERENCE_KEYS, "inference")
        level = section.get("level", Rule().level)
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level <= 0.5:
            raise self.error("inference.level", f"must be above 0 and at most 0.5, such as 0.05, not {level!r}")
        margin = section.get("margin", {})
        margins = {_text(k): v for k, v in margin.items()} if isinstance(margin, Mapping) else {"": margin}
        self.known({key: None for key in margins if key}, metrics, "inference.margin")
        for name, value in margins.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                where = f"inference.margin.{name}".rstrip(".")
                raise self.error(where, f"must be a number above 0 in the score's unit, such as 0.3, not {value!r}")
        looks = section.get("looks", [])
        rising = isinstance(looks, list) and all(type(look) is int for look in looks) and looks == sorted(set(looks))
        if not rising or (looks and looks[0] < MIN_SEEDS):
            raise self.error(
                "inference.looks",
                f"must be rising numbers of seeds from {MIN_SEEDS}, such as [5, 8, 12], not {looks!r}",
            )
        if looks and looks[-1] != len(seeds):
            raise self.error("inference.looks", f"must end with the number of `seeds`, {len(seeds)}, not {looks[-1]}")
        return Rule(float(level), {name: float(value) for name, value in margins.items()}, tuple(looks))


def _text(key: Any) -> str:
    return setting_text(key) if isinstance(key, bool | int | float) else str(key)  # YAML reads on, off, 2 as such


def make_axis(name: str, given: Any, error: Any) -> Axis:
    """Return the axis that a list (values of one key) or a mapping (named values of one or several keys) describes."""
    key = ACTIVATION_KEY if name == "activation" else name
    if isinstance(given, list):
        values = []
        for item in given:
            if isinstance(item, Mapping | list):
                raise error(f"axes.{name}", f"{item!r} needs a name: write `{name}: {{NAME: {{{key}: ...}}}}`")
            label = item if isinstance(item, str | int | float) and not isinstance(item, bool) else setting_text(item)
            values.append(Value(label, {key: item}))
        return Axis(name, tuple(values))
    if isinstance(given, Mapping):
        named = []
        for label, settings in given.items():
            if settings is None:
                settings = {}  # the base as it is
            if not isinstance(settings, Mapping):
                raise error(
                    f"axes.{name}.{_text(label)}", f"must set configuration keys, such as {{{key}: {settings!r}}}"
                )
            named.append(Value(_text(label), {str(k): v for k, v in settings.items()}))
        return Axis(name, tuple(named))
    raise error(f"axes.{name}", f"must be a list of values or a mapping of named ones, not {given!r}")


def check_conditions(axis: Axis, error: Any) -> None:
    """Raise what ``error`` makes of the place and the problem if an axis of tests sets anything else than a test condition."""
    for key in axis.keys:
        if not any(overlaps(key, known) for known in CONDITION_KEYS):
            raise error(f"test.{axis.name}", f"'{key}' is not a test condition{nearest(key, CONDITION_KEYS)}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of ``0,1,2`` or ``0-4``.

    Raises:
        UserError: it is neither.
    """
    seeds: list[int] = []
    for part in text.split(","):
        if match := re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part):
            seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
        else:
            raise UserError(f"seeds '{text}': write whole numbers and ranges such as 0,1,2 or 0-4")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds '{text}': each seed once, and at least one")
    return tuple(seeds)


def published_path(table: str) -> Path:
    """Return the file of a published table: ``table1`` ... ``table7``, or a CSV file of your own.

    Raises:
        UserError: there is none.
    """
    folder = resource_path(PUBLISHED)
    path = Path(table) if table.endswith(".csv") else folder / f"{table}.csv"
    if not path.is_file():
        known = [file.stem for file in folder.glob("*.csv")]
        raise UserError(f"there is no published table '{table}'{nearest(table, known)}; or name a CSV file")
    return path


def find_study(name: str) -> Path:
    """Return the study file: a path, or the name of one that travels with the package.

    Raises:
        UserError: there is none.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        return resource_path(name)
    try:
        return resource_path(f"{FOLDER}/{name}.yaml")
    except UserError:
        if Path(name).is_dir():
            raise UserError(f"{name} is a folder; give the path of a study file in it, ending in .yaml") from None
        known = {path.stem for path in resource_path(FOLDER).glob("*.yaml")}
        hint = f"{nearest(name, known)}; for a study of your own give its file's path, ending in .yaml"
        raise UserError(f"there is no study '{name}'{hint}") from None


def load_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        UserError: it cannot be read, has an unknown key (with the nearest one), or a value of the wrong form.
    """
    read = _Reader(path)
    content = read_yaml(path)
    top = read.mapping(content, "")
    read.known(top, _KEYS)
    if missing := {"base", "axes", "metrics", "reference"} - top.keys():
        raise read.error("", f"missing: {', '.join(sorted(missing))}")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", path.stem):
        raise read.error("", "the file's name names folders: letters, digits, '-', '_' and '.' alone")
    metrics = read.strings(top["metrics"], "metrics")
    if not metrics or len(set(metrics)) < len(metrics):
        raise read.error("metrics", "at least one is needed, and each once")
    axes = tuple(read.axis(name, values, f"axes.{name}") for name, values in read.mapping(top["axes"], "axes").items())
    names = [axis.name for axis in axes]
    if "activation" not in names:
        raise read.error("axes", "an axis 'activation' is needed: it is what is compared")
    functions = [str(value.label) for value in axes[names.index("activation")].values]
    if top["reference"] not in functions:
        raise read.error(
            "reference",
            f"'{top['reference']}' is not on the axis activation{nearest(str(top['reference']), functions)}",
        )
    seeds = read.seeds(top.get("seeds", [0]))
    return Study(
        name=path.stem,
        title=str(top.get("title", path.stem)),
        description=" ".join(str(top.get("description", "")).split()),
        bases=read.strings(top["base"], "base"),
        overlays=read.strings(top.get("overlays", []), "overlays"),
        settings=read.mapping(top.get("set", {}), "set"),
        axes=axes,
        seeds=seeds,
        metrics=metrics,
        reference=str(top["reference"]),
        published=read.published(top.get("published")),
        tuning=read.tuning(top["tune"], metrics) if "tune" in top else None,
        rule=read.rule(top.get("inference", {}), metrics, seeds),
        tests=read.tests(top.get("test", {}), names),
    )
