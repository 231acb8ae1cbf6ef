"""What is trained: the demo's recipe of each task with a validation split held out, on embedded data or a folder."""

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.judging.subject import Subject
from lpflu_bench.studies.plan import EMBEDDED, Plan
from lpflu_bench.studies.plan_cache import load_plan
from lpflu_bench.studies.study import ACTIVATION_KEY, Axis, Study, Value

TASKS = ("classification", "segmentation", "detection")
"""The cheapest first."""
VAL_FRACTION = 0.2
_SCORES = {"classification": "top1_error", "segmentation": "miou", "detection": "map"}
_FOLDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "classification": ("ImageFolder", {}),
    "segmentation": (
        "SegmentationFolder",
        {"data.labels": None, "data.train": None, "data.test": None, "model.other_class": None},
    ),
    "detection": ("DetectionFolder", {"data.classes": None, "data.train": None, "data.test": None}),
}


def plan_of(
    task: str, subject: Subject, label: str, against: tuple[str, ...], rule: Rule, root: str | None, cache: Path
) -> Plan:
    """Return the runs of a task: every function with every seed up to the last look.

    Args:
        task: its kind.
        subject: the function that is judged.
        label: what it is called among the others.
        against: the others.
        rule: with its looks.
        root: folder of the data; None for the embedded set.
        cache: file that keeps the plan.

    Raises:
        UserError: the data cannot be read, or a function cannot be built.
    """
    values = [Value(name, {ACTIVATION_KEY: name}) for name in against]
    study = Study(
        name=f"try {label}",
        title="",
        description="",
        bases=(f"tasks/demo/{task}.yaml",),
        overlays=(),
        settings={"data.val_fraction": VAL_FRACTION, **(folder_settings(task, root) if root else {})},
        axes=(Axis("activation", (*values, Value(label, {ACTIVATION_KEY: subject.spec}))),),
        seeds=tuple(range(rule.looks[-1])),
        metrics=(_SCORES[task],),
        reference=label,
        rule=rule,
    )
    return load_plan(study, cache)


@functools.cache
def _num_classes(task: str, root: str) -> int:
    """Return how many classes a folder's images have, by reading it as a run would.

    Raises:
        UserError: it is no data set of the task.
    """
    data = getattr(importlib.import_module("lpflu_bench.data"), _FOLDERS[task][0])(root=root)
    data.setup("test")
    return int(data.num_classes)


def folder_settings(task: str, root: str) -> Mapping[str, Any]:
    """Return the settings that train a task on a folder, or nothing for ``embedded``.

    Raises:
        UserError: there is no such folder, or it is no data set of the task.
    """
    if root == EMBEDDED:
        return {}
    if not Path(root).is_dir():
        raise UserError(f"--data.root {task}={root}: there is no such folder")
    name, settings = _FOLDERS[task]
    return {**settings, "data": name, "data.root": root, "model.num_classes": _num_classes(task, root)}
