"""The mathematics of a comparison over few paired seeds.

Everything is computed with scipy's distributions. The three things that only statsmodels has (Holm's correction,
Newcombe's interval, the power of a t-test) are a line or two each and are written out, because its import costs
seconds; the tests hold them to statsmodels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

MIN_SEEDS = 3
"""Fewest paired seeds on which a verdict is based."""
MIN_RANK_ROWS = 5
MIN_RANK_FUNCTIONS = 3
POWER = 0.8
MAX_SEEDS = 1000
"""Above this many seeds the number needed is not told exactly: nobody will run them."""


@dataclass(frozen=True)
class Interval:
    """A confidence or prediction interval and the method it comes from."""

    low: float
    high: float
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Paired:
    """A function's difference to the reference over the seeds both have.

    Attributes:
        n: number of common seeds.
        difference: mean of function - reference, in the metric's unit.
        sd: standard deviation of the differences (n - 1), nan for one seed.
        interval: confidence interval of ``difference``; None where nothing supports one.
        p: two-sided p of the paired t-test; None below :data:`MIN_SEEDS` or if the differences do not vary.
        improvement: share of the common seeds in which the function is better, ties counting half.
    """

    n: int
    difference: float
    sd: float
    interval: Interval | None
    p: float | None
    improvement: float


def _half_width(n: int, confidence: float) -> float:
    return float(special.stdtrit(n - 1, (1 + confidence) / 2))


def _constant(values: NDArray[np.float64], scale: float) -> bool:
    """Whether values differ by no more than rounding: percentages of a small test set repeat exactly."""
    return bool(np.ptp(values) <= 1e-9 * max(scale, 1e-300))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return Student's interval of the mean; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    half = _half_width(n, confidence) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(values))
    return Interval(mean - half, mean + half, "t")


def prediction_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return the interval in which one further run is expected; None for fewer than two values.

    It is what a published single run is to be compared with: the interval of the mean shrinks with more seeds until it
    excludes most single runs of the very same experiment.
    """
    n = len(values)
    if n < 2:
        return None
    half = _half_width(n, confidence) * float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / n)
    mean = float(np.mean(values))
    return Interval(mean - half, mean + half, "t, one further run")


def wilson_interval(percent: float, samples: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's binomial interval, in percent, of a share of ``samples`` test samples."""
    z = float(special.ndtri((1 + confidence) / 2))
    share = percent / 100
    centre = (share + z**2 / (2 * samples)) / (1 + z**2 / samples)
    half = z / (1 + z**2 / samples) * math.sqrt(share * (1 - share) / samples + z**2 / (4 * samples**2))
    return Interval(100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0), "Wilson, test set")


def newcombe_interval(percent: float, reference: float, samples: int, confidence: float = 0.95) -> Interval:
    """Return Newcombe's interval, in points, of the difference of two shares measured on ``samples`` samples each.

    It takes the two as independent. On one test set they usually agree on most samples, so it is rather too wide.
    """
    one = wilson_interval(percent, samples, confidence)
    two = wilson_interval(reference, samples, confidence)
    difference = percent - reference
    low = difference - math.hypot(percent - one.low, two.high - reference)
    high = difference + math.hypot(one.high - percent, reference - two.low)
    return Interval(low, high, "Newcombe, test set")


def compare_paired(
    values: Sequence[float],
    reference: Sequence[float],
    *,
    lower_is_better: bool,
    confidence: float = 0.95,
    samples: int | None = None,
) -> Paired:
    """Compare a function with the reference; ``values[i]`` and ``reference[i]`` come from the same seed.

    Args:
        values: the function's metric, one value a seed, at least one.
        reference: the reference function's, in the same order.
        lower_is_better: the metric's direction.
        confidence: of the interval.
        samples: number of test samples if the metric is a share of them in percent. Used for a single seed only.

    Raises:
        ValueError: different lengths, or no value.
    """
    if len(values) != len(reference) or not len(values):
        raise ValueError(f"paired values are needed, got {len(values)} and {len(reference)}")
    ours, theirs = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    differences = ours - theirs
    n = len(differences)
    difference = float(differences.mean())
    gain = -differences if lower_is_better else differences
    improvement = float(np.mean((gain > 0) + 0.5 * (gain == 0)))
    if n == 1:
        interval = newcombe_interval(ours[0], theirs[0], samples, confidence) if samples else None
        return Paired(1, difference, math.nan, interval, None, improvement)
    if _constant(differences, float(np.abs([ours, theirs]).max())):
        # Identical runs do not differ. Equal but non-zero differences leave no spread to test against.
        identical = not differences.any()
        return Paired(n, difference, 0.0, None, 1.0 if identical and n >= MIN_SEEDS else None, improvement)
    sd = float(differences.std(ddof=1))
    error = sd / math.sqrt(n)
    half = _half_width(n, confidence) * error
    p = float(2 * special.stdtr(n - 1, -abs(difference) / error)) if n >= MIN_SEEDS else None
    return Paired(n, difference, sd, Interval(difference - half, difference + half, "paired t"), p, improvement)


def holm(ps: Sequence[float | None], family: int = 0) -> list[float | None]:
    """Return Holm's adjusted p values; None (no test was made) stays None.

    Args:
        ps: p values of the tests that were made.
        family: how many tests there are going to be, where some are still to come; never fewer than were made.
    """
    tested = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    size = max(family, len(tested))
    for rank, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, p * (size - rank)))
        adjusted[index] = highest
    return adjusted


def t_test_power(effect: float, n: int, alpha: float) -> float:
    """Return the power of a two-sided one-sample (paired) t-test at the standardised effect ``effect``."""
    critical = special.stdtrit(n - 1, 1 - alpha / 2)
    shift = abs(effect) * math.sqrt(n)
    below, wrong_side = special.nctdtr(n - 1, shift, [critical, -critical])
    above = 1 - below
    if math.isnan(above):  # the fast function gives up far above the critical value, the slow one even further above
        above = np.nan_to_num(stats.nct.sf(critical, n - 1, shift), nan=1.0)
    return float(above + np.nan_to_num(wrong_side))


def seeds_needed(paired: Paired, *, alpha: float, power: float = POWER, maximum: int = MAX_SEEDS) -> int | None:
    """Return how many seeds would show the observed difference, were it the true one, with probability ``power``.

    Args:
        paired: the comparison; its standard deviation of differences is taken as the true one.
        alpha: level of the two-sided test; for a family of m functions pass alpha / m, Holm's first step.
        power: wanted probability.
        maximum: larger answers are not computed.

    Returns:
        The number, at least one more than there are; ``maximum + 1`` for any larger one; None if the spread is unknown.
    """
    if paired.n < 2 or not paired.sd > 0:
        return None
    effect = abs(paired.difference) / paired.sd
    least = max(paired.n + 1, MIN_SEEDS)
    if effect == 0:
        return maximum + 1
    # The normal approximation is off by a few at most; from there by single steps.
    critical = special.ndtri(1 - alpha / 2)
    guess = ((critical + special.ndtri(power)) / effect) ** 2 + critical**2 / 2
    n = int(min(max(guess, least), maximum + 1))
    while n > least and t_test_power(effect, n - 1, alpha) >= power:
        n -= 1
    while n <= maximum and t_test_power(effect, n, alpha) < power:
        n += 1
    return n


def verdict(
    paired: Paired, p_adjusted: float | None, *, lower_is_better: bool, alpha: float, family: int
) -> tuple[str, int | None]:
    """Return ``better``, ``worse`` or ``not separable (...)`` in words, and the :func:`seeds_needed` of the latter."""
    if p_adjusted is not None and p_adjusted < alpha:
        return ("better" if (paired.difference < 0) == lower_is_better else "worse"), None
    seeds = f"{paired.n} seed{'s' if paired.n > 1 else ''}"
    if paired.n > 1 and paired.sd == 0:
        why = "identical runs" if paired.difference == 0 else "no spread to judge by"
        return f"not separable ({seeds}, {why})", None
    needed = seeds_needed(paired, alpha=alpha / max(family, 1))
    if needed is None:
        return f"not separable ({seeds}; at least {MIN_SEEDS} are needed)", None
    about = f"more than {MAX_SEEDS}" if needed > MAX_SEEDS else f"about {needed}"
    return f"not separable ({seeds}; {about} would be needed)", needed


def separable_best(
    values: dict[str, dict[int, float]], *, lower_is_better: bool, confidence: float = 0.95
) -> str | None:
    """Return the function with the best mean if it beats every other one, else None.

    ``values[function][seed]``. Paired t-tests on common seeds, Holm over the other functions: all must reject.
    """
    if len(values) < 2:
        return None
    sign = 1 if lower_is_better else -1
    best = min(values, key=lambda name: sign * float(np.mean(list(values[name].values()))))
    ps: list[float | None] = []
    for name, other in values.items():
        if name == best:
            continue
        seeds = sorted(values[best].keys() & other.keys())
        if len(seeds) < MIN_SEEDS:
            return None
        paired = compare_paired(
            [values[best][seed] for seed in seeds], [other[seed] for seed in seeds], lower_is_better=lower_is_better
        )
        if paired.p is None or sign * paired.difference >= 0:
            return None
        ps.append(paired.p)
    return best if all(p is not None and p < 1 - confidence for p in holm(ps)) else None


@dataclass(frozen=True)
class Ranks:
    """Average ranks of functions over data rows (1 is best), after Demšar (JMLR 2006).

    Attributes:
        average: function -> average rank, best first.
        rows: number of data rows.
        p: of Friedman's test that all functions rank alike; nan if every row is tied throughout.
        critical_difference: Nemenyi's: two average ranks further apart differ at the level ``alpha``.
        groups: maximal runs of functions that are not separable, best first; a single one of all if ``p >= alpha``.
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
        scores: [rows, functions] without gaps.
        functions: the names of the columns.
        lower_is_better: one entry a row.
        alpha: level of the test and of the critical difference.

    Raises:
        ValueError: fewer than :data:`MIN_RANK_ROWS` rows or :data:`MIN_RANK_FUNCTIONS` functions.
    """
    rows, count = scores.shape
    if rows < MIN_RANK_ROWS or count < MIN_RANK_FUNCTIONS:
        raise ValueError(f"ranks need {MIN_RANK_ROWS} rows and {MIN_RANK_FUNCTIONS} functions, got {rows} and {count}")
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
