"""What a report is about: the scores, the axes, the reference function and the rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.inference.rule import Rule


@dataclass(frozen=True)
class ReportSpec:
    """A study as its report sees it.

    Attributes:
        name: the study's name, used in file names and LaTeX labels.
        title: the report's heading.
        description: what is compared and under which conditions, in a sentence or two.
        reference: the activation that the others are compared with.
        metrics: names of the scores to report, which the records declare, in the order in which they are judged. A
            task whose records lack one is shown without it; the one declared as the main score comes first.
        axes: names of the swept settings besides task, activation and seed. A value is looked up in the record's
            ``cell``, then among the record's own keys (``network``, ``precision``).
        published: the published table to compare with (``table1``, or a path of a CSV file), or None.
        planned: the ``cell`` of every run of the study. It gives the order of functions and settings, and what is
            missing; without it every combination of the values found counts as planned.
        rule: how functions are compared, declared before the runs.
        narrowed: what of the study the report shows or changes, in words; empty for all of it as declared.
        only: axis -> the values that are shown. Everything is judged as if all were.
        include_partial: whether runs that were trained or tested in part count, each marked as such.
    """

    name: str
    title: str
    description: str
    reference: str
    metrics: tuple[str, ...]
    axes: tuple[str, ...] = ()
    published: str | None = None
    planned: tuple[Mapping[str, Any], ...] = ()
    rule: Rule = field(default_factory=Rule)
    narrowed: str = ""
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    include_partial: bool = False
