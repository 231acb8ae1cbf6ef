"""Average ranks of functions over data sets, after Demšar (JMLR 2006)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    from scipy import stats  # a second of import that most reports do without

    rows, count = scores.shape
    if rows < MIN_ROWS or count < MIN_FUNCTIONS:
        raise ValueError(f"ranks need {MIN_ROWS} rows and {MIN_FUNCTIONS} functions, got {rows} and {count}")
    signed = scores * np.where(np.asarray(lower_is_better), 1.0, -1.0)[:, None]
    means = stats.rankdata(signed, axis=1).mean(axis=0)
    tied = bool((np.ptp(signed, axis=1) == 0).all())
    p = math.nan if tied else float(stats.friedmanchisquare(*signed.T).pvalue)
    quantile = float(stats.studentized_range.ppf(1 - alpha, count, np.inf)) / math.sqrt(2)
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
