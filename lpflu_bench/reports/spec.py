"""What a report is about: the metrics, the axes and the reference function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReportSpec:
    """A study as its report sees it.

    Attributes:
        name: the study's name, used in file names and LaTeX labels.
        title: the report's heading.
        description: what is compared and under which conditions, in a sentence or two.
        reference: the activation that the others are compared with.
        metrics: names of the scores to report, which the records declare. A task whose records lack one is shown
            without it; verdicts in words, ranks and figures are about the one declared as the main score, or else the
            first.
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
    metrics: tuple[str, ...]
    axes: tuple[str, ...] = ()
    published: str | None = None
    planned: tuple[Mapping[str, Any], ...] = ()
    confidence: float = 0.95
