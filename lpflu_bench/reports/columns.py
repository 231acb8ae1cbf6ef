"""A study's columns: the functions at one place under one score, each with its verdict."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lpflu_bench.inference.comparison import Comparison
from lpflu_bench.inference.images import TwoNetworks
from lpflu_bench.inference.verdicts import Interval, Verdict
from lpflu_bench.records import Weights
from lpflu_bench.reports.runs import Place
from lpflu_bench.scores import Score


@dataclass(frozen=True)
class Row:
    """One function at one place under one score.

    Attributes:
        activation: the function.
        seeds: those with a value, in order.
        values: the score, in the order of ``seeds``.
        diverged: seeds whose training diverged; they count with the worst value that the score can take.
        comparison: the difference to the reference; None for the reference and where there is no common seed.
        verdict: what follows from the comparison's interval.
        for_images: the interval that covers new images too; None where the outcomes of single images are not recorded.
        two_networks: for a single seed, the two trained networks compared image by image.
        look: at which look of a sequential study the function is, from 1; 0 for a fixed number of seeds.
        notes: what a reader must know about this row.
    """

    activation: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    diverged: tuple[int, ...]
    comparison: Comparison | None
    verdict: Verdict
    for_images: Interval | None
    two_networks: TwoNetworks | None
    look: int
    notes: tuple[str, ...]

    @cached_property
    def mean(self) -> float | None:
        """Mean over all seeds; None without any."""
        return float(np.mean(self.values)) if self.values else None

    @cached_property
    def median(self) -> float | None:
        """Median over all seeds; None without any."""
        return float(np.median(self.values)) if self.values else None

    @cached_property
    def sd(self) -> float | None:
        """Standard deviation (n - 1); None below two seeds."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    @property
    def interval(self) -> Interval | None:
        """The simultaneous interval of the difference to the reference."""
        return self.comparison.interval if self.comparison else None


@dataclass(frozen=True)
class Column:
    """The functions at one place, with one kind of weights, under one score: a family of comparisons.

    Attributes:
        place: task and setting.
        weights: ``raw`` or ``averaged``.
        score: the score.
        main: whether it is its task's main score.
        rows: one a function, in the study's order.
        best: the function that is better than every other one, if there is one.
        reference: the function that the others are compared with.
        margin: differences this small do not matter; None where none is declared.
    """

    place: Place
    weights: Weights
    score: Score
    main: bool
    rows: tuple[Row, ...]
    best: str | None
    reference: str
    margin: float | None

    @cached_property
    def scores(self) -> dict[str, dict[int, float]]:
        """Function -> seed -> value, functions with a result only."""
        return {row.activation: dict(zip(row.seeds, row.values, strict=True)) for row in self.rows if row.seeds}

    def row(self, activation: str) -> Row:
        """Return a function's row."""
        return next(row for row in self.rows if row.activation == activation)
