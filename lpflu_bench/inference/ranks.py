"""Average ranks of functions over data sets, after Demšar (JMLR 2006)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

MIN_ROWS = 5
MIN_FUNCTIONS = 3


@dataclass(frozen=True)
class Ranks:
    """Average ranks of functions over data rows (1 is best).

    Attributes:
        average: function -> average rank, best first.
        rows: number of data rows, each of networks of its own.
        p: of Friedman's test that all functions rank alike; nan if every row is tied throughout.
        critical_difference: Nemenyi's: two average ranks further apart differ at the level ``alpha``.
        groups: maximal runs of functions that are not told apart, best first; a single one of all if ``p >= alpha``.
        alpha: the level.
    """

    average: dict[str, float]
    rows: int
    p: float
    critical_difference: float
    groups: list[list[str]]
    alpha: float


def average_ranks(
    scores: NDArray[np.float64], functions: Sequence[str], lower_is_better: Sequence[bool], alpha: float = 0.05
) -> Ranks:
    """Rank the functions in every data row; Friedman's test and Nemenyi's critical difference.

    Args:
        scores: [rows, functions] without gaps. The rows must be independent: what shares trained networks is one row.
        functions: the names of the columns.
        lower_is_better: one entry a row.
        alpha: level of the test and of the critical difference.

    Raises:
        ValueError: fewer than :data:`MIN_ROWS` rows or :data:`MIN_FUNCTIONS` functions.
    """
    rows, count = scores.shape
    if rows < MIN_ROWS or count < MIN_FUNCTIONS:
        raise ValueError(f"ranks need {MIN_ROWS} rows and {MIN_FUNCTIONS} functions, got {rows} and {count}")
    signed = scores * np.where(np.asarray(lower_is_better), 1.0, -1.0)[:, None]
    # Written out, and the quantile below: importing scipy.stats takes a tenth of a large report's time.
    others, own = signed[:, None, :], signed[:, :, None]
    ranks = 0.5 + (others < own).sum(axis=-1) + (others == own).sum(axis=-1) / 2
    means = ranks.mean(axis=0)
    middle = (count + 1) / 2
    spread = ((ranks - middle) ** 2).sum()
    friedman = rows**2 * (count - 1) * ((means - middle) ** 2).sum() / spread if spread else math.nan
    p = float(special.chdtrc(count - 1, friedman))
    quantile = _range_quantile(1 - alpha, count) / math.sqrt(2)
    critical = quantile * math.sqrt(count * (count + 1) / (6 * rows))
    average = {functions[index]: float(means[index]) for index in np.argsort(means, kind="stable")}
    groups: list[list[str]] = []
    if p < alpha:
        names = list(average)
        for start, first in enumerate(names):
            group = [name for name in names[start:] if average[name] - average[first] < critical]
            if len(group) > 1 and not (groups and group[-1] in groups[-1]):
                groups.append(group)
    else:
        groups.append(list(average))
    return Ranks(average, rows, p, critical, groups, alpha)


def _range_quantile(probability: float, count: int) -> float:
    """Return a quantile of the range of ``count`` standard normal values (the studentized range of known variance)."""
    lowest = np.linspace(-8.0, 8.0, 161)
    density = count * np.exp(-(lowest**2) / 2) / math.sqrt(2 * math.pi) * (lowest[1] - lowest[0])

    def excess(width: float) -> float:
        between = special.ndtr(lowest + width) - special.ndtr(lowest)
        return float(density @ between ** (count - 1)) - probability

    return float(optimize.brentq(excess, 0.0, 16.0))
