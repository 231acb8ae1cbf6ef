"""What a report is about: the metrics, the axes and the reference function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_LABELS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "map": "mAP",
    "map_50": "mAP@50",
    "map_75": "mAP@75",
    "miou": "mIoU",
    "miou_19": "mIoU (19 classes)",
    "pixel_accuracy": "pixel accuracy",
}


@dataclass(frozen=True)
class Metric:
    """A number of the record's ``metrics``, and which way is better."""

    name: str
    direction: Literal["lower", "higher"] = "lower"
    unit: str = "%"

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is a better one."""
        return self.direction == "lower"

    @property
    def label(self) -> str:
        """The name as people write it, such as ``top-1 error``."""
        return _LABELS.get(self.name, self.name.replace("_", " "))

    @property
    def title(self) -> str:
        """Label and unit, for axes and table heads."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class ReportSpec:
    """A study as its report sees it.

    Attributes:
        name: the study's name, used in file names and LaTeX labels.
        title: the report's heading.
        description: what is compared and under which conditions, in a sentence or two.
        reference: the activation that the others are compared with.
        metrics: what to report. A task whose records lack a metric is shown without it; the first one that a task has
            is its main metric (verdicts in words, ranks, figures).
        axes: names of the swept settings besides task, activation and seed. A value is looked up in the record's
            ``cell``, then among the record's own keys (``network``, ``precision``).
        published: the published table to compare with (``table1``, or a path of a CSV file), or None.
        planned: the ``cell`` of every run of the study. It gives the order of functions and settings, and what is
            missing; without it every combination of the values found counts as planned.
        confidence: of all intervals; verdicts are made at the level 1 - confidence.
    """

    name: str
    title: str
    description: str
    reference: str
    metrics: tuple[Metric, ...]
    axes: tuple[str, ...] = ()
    published: str | None = None
    planned: tuple[Mapping[str, Any], ...] = ()
    confidence: float = 0.95


def setting_text(value: Any) -> str:
    """Return an axis value as it is printed (YAML's ``on`` and ``off`` arrive as booleans)."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, sort_keys=True, default=str)
