"""A study: which runs a comparison is made of, before anything is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.inference.rule import Rule

ACTIVATION_KEY = "model.activation"


@dataclass(frozen=True)
class Value:
    """One value of an axis: its name and what it sets."""

    label: str | int | float
    settings: Mapping[str, Any]
    """Configuration keys and values; ``config`` names an overlay file."""


@dataclass(frozen=True)
class Axis:
    """A setting that is swept."""

    name: str
    values: tuple[Value, ...]

    @property
    def keys(self) -> set[str]:
        """Every configuration key that one of the values sets."""
        return {key for value in self.values for key in value.settings}


@dataclass(frozen=True)
class Tuning:
    """The first stage of a study that tunes: ``axis`` is chosen for each function by ``metric``, then fixed.

    Attributes:
        axis: what is tried.
        settings: further keys of this stage alone (a hold-out, fewer epochs).
        seeds: of this stage.
        metric: what decides; the mean over ``seeds``.
    """

    axis: Axis
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    metric: str


@dataclass(frozen=True)
class Study:
    """A study as its file (and the command line) says it.

    Attributes:
        name: the file's stem; names the folders of its runs and results.
        title: the report's heading.
        description: what is compared under which conditions.
        bases: recipes; every one is run with every combination of the axes.
        overlays: configuration files laid over each base, in order.
        settings: keys and values that hold for every cell.
        axes: the swept settings; ``activation`` is one of them.
        seeds: every cell is run with each.
        metrics: names of the reported scores; what they are the modules declare.
        reference: the activation that the others are compared with.
        published: name of the published table to compare with.
        tuning: the first stage of a study that tunes.
        rule: how its functions are compared.
        tests: the conditions under which every trained network is tested, as axes; without one, the plain test alone.
    """

    name: str
    title: str
    description: str
    bases: tuple[str, ...]
    overlays: tuple[str, ...]
    settings: Mapping[str, Any]
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    reference: str
    published: str | None = None
    tuning: Tuning | None = None
    rule: Rule = field(default_factory=Rule)
    tests: tuple[Axis, ...] = ()
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Cells and tests are kept whose labels are among these."""

    def axis(self, name: str) -> Axis:
        """Return the axis called ``name``."""
        return next(axis for axis in self.axes if axis.name == name)
