"""A study as the command line changes it: ``--set``, ``--only``, ``--seeds``."""

from collections.abc import Sequence
from dataclasses import replace

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.studies.keys import overlaps
from lpflu_bench.studies.study import Study
from lpflu_bench.studies.study_file import check_conditions, make_axis, parse_seeds
from lpflu_bench.text import nearest, setting_text


def _setting(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UserError(f"{option} {text}: write {option} KEY=VALUE")
    return key, value


def apply_overrides(
    study: Study, *, settings: Sequence[str] = (), only: Sequence[str] = (), seeds: str | None = None
) -> Study:
    """Return the study as the command line changes it.

    Args:
        study: from its file.
        settings: ``key=value``, the value as YAML. An axis' name takes a new list of values; any other key holds for
            every cell.
        only: ``axis=a,b``: cells, and tests, with other values are left out; also ``task``, ``network`` and ``seed``.
        seeds: ``0,1,2`` or ``0-4`` instead of the file's.

    Raises:
        UserError: an option cannot be read, or a key is set that an axis sets too.
    """
    axes = {axis.name: axis for axis in study.axes}
    tests = {axis.name: axis for axis in study.tests}
    fixed = dict(study.settings)
    for text in settings:
        key, raw = _setting(text, "--set")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise UserError(f"--set {text}: the value is invalid YAML") from error
        if key in axes or key in tests:
            given = value if isinstance(value, list | dict) else [value]

            def refusal(where: str, problem: str, text: str = text) -> UserError:
                return UserError(f"--set {text}: {problem}")

            axis = make_axis(key, given, refusal)
            if key in tests:
                check_conditions(axis, refusal)
            (tests if key in tests else axes)[key] = axis
            continue
        for axis in (*axes.values(), *tests.values()):
            if any(overlaps(key, other) for other in axis.keys):
                raise UserError(
                    f"--set {text}: the axis '{axis.name}' sets this key; pass --set '{axis.name}=[...]' or --only"
                )
        fixed[key] = value
    kept: dict[str, tuple[str, ...]] = dict(study.only)
    for text in only:
        key, raw = _setting(text, "--only")
        names = {*axes, *tests, "task", "network", "seed"}
        if key not in names:
            raise UserError(f"--only {text}: there is no axis '{key}'{nearest(key, names)}")
        wanted = tuple(part.strip() for part in raw.split(","))
        if another := next((part for part in wanted if "=" in part), None):
            raise UserError(f"--only {text}: one axis at a time; write --only {another} as an option of its own")
        if axis_given := axes.get(key) or tests.get(key):
            labels = [setting_text(value.label) for value in axis_given.values]
            for label in wanted:
                if label not in labels:
                    raise UserError(f"--only {text}: the axis has no value '{label}'{nearest(label, labels)}")
        kept[key] = wanted
    if seeds and study.rule.looks:
        raise UserError(
            f"--seeds {seeds}: {study.name} adds seeds at its looks {list(study.rule.looks)}; change its file"
        )
    return replace(
        study,
        axes=tuple(axes.values()),
        tests=tuple(tests.values()),
        settings=fixed,
        seeds=parse_seeds(seeds) if seeds else study.seeds,
        only=kept,
    )
