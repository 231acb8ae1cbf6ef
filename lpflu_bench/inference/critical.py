"""Critical values of simultaneous comparisons with one reference, and the factor of the shared variance."""

import math
from functools import lru_cache

import numpy as np
from scipy import optimize, special

POOLED_FROM = 3
"""Fewest comparisons whose variances are shared; with fewer, each has its own alone."""
_DRAWS = 100_000
_OWN_LEVEL = 0.5
_OWN_FREEDOM = 1.25
"""What bounds an interval by the function's own noise: its paired t at half the level, and Dunnett's value with fewer
degrees of freedom than the shared variance has. With the whole level and all degrees two functions ten times as noisy
as the rest make 7.7 % false claims instead of 5 at three seeds, 6.3 at five, and 8.2 where the rest has more seeds; with
these none exceeds the level (error.csv and unbalanced.csv in results/inference). The price at five seeds, five
comparisons and a difference of 3 sd: power 84 -> 78 %."""


def dunnett_probability(value: float, comparisons: int, df: float) -> float:
    """Return the probability that no |t| of ``comparisons`` with one common reference exceeds ``value``.

    The statistics share the reference (correlation 0.5) and a variance estimate with ``df`` degrees of freedom.
    Trapezoidal sums over the reference's normal and the logarithm of the chi variable; both converge exponentially.
    """
    reference = np.linspace(-8.0, 8.0, 61)
    weight = np.exp(-(reference**2) / 2)
    weight /= weight.sum()
    log_s = np.linspace(-36.0 / df, min(2.0, 8.0 / math.sqrt(df)), 401)
    log_density = df * log_s - df * np.exp(2 * log_s) / 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    used = density > 1e-18
    reach = value * math.sqrt(2) * np.exp(log_s[used])[:, None]
    inside = special.ndtr(reference + reach) - special.ndtr(reference - reach)
    return float(density[used] @ (inside**comparisons @ weight))


@lru_cache(maxsize=1024)
def dunnett_quantile(level: float, comparisons: int, df: float) -> float:
    """Return the two-sided critical value at which :func:`dunnett_probability` is ``1 - level``."""
    low, high = _t(level, df), _t(level / comparisons, df)  # one comparison; Bonferroni's bound
    if comparisons == 1:
        return low
    root = optimize.brentq(
        lambda value: dunnett_probability(value, comparisons, df) - (1 - level), 0.98 * low, 1.02 * high, xtol=1e-6
    )
    return float(root)


def critical_value(level: float, family: int, observed: int, n: int, *, own: bool = False) -> float:
    """Return by how many standard errors an interval reaches to each side.

    Args:
        level: chance that any interval of the family misses its true difference.
        family: comparisons of the study, those without a result yet included.
        observed: comparisons that have a variance.
        n: paired seeds, at least 2.
        own: whether the standard error is of the function's own variance rather than of the shared one.

    Returns:
        Dunnett's value, with degrees of freedom that count part of what the shared variance adds, but never less than
        the function's paired t; below :data:`POOLED_FROM` observed comparisons Sidak's t.
    """
    if observed < POOLED_FROM:
        return _t(1 - (1 - level) ** (1 / family), n - 1)
    dunnett = dunnett_quantile(level, family, degrees_of_freedom(observed, n, own=own))
    return max(dunnett, _t(level * (_OWN_LEVEL if own else 1), n - 1))


def degrees_of_freedom(observed: int, n: int, *, own: bool) -> float:
    """Return the degrees of freedom of a standard error over n seeds; sharing the variance adds up to three quarters."""
    return min(max(1 + (observed - 2) / 4, 1.0), _OWN_FREEDOM if own else 1.75) * (n - 1)


def _t(level: float, df: float) -> float:
    return float(special.stdtrit(df, 1 - level / 2))


@lru_cache(maxsize=1024)
def shared_factor(comparisons: int, n: int) -> float:
    """Return what makes the mean of all variances but the largest unbiased when every function is equally noisy.

    ``2 / E[mean of all but the largest of s_1^2 ... s_m^2]`` where s_j^2 is the variance of n differences between
    independent standard normal values of function j and of the reference (a fixed-seed Monte Carlo; the deviations of n
    values from their mean are n - 1 independent normal ones).
    """
    draws = max(1000, min(_DRAWS, 1_000_000 // (n * (comparisons + 1))))
    values = np.random.default_rng(1).standard_normal((draws, comparisons + 1, n - 1), dtype=np.float32)
    deviations = values[:, 1:] - values[:, :1]
    variances = np.einsum("smn,smn->sm", deviations, deviations) / (n - 1)
    return float(2 / mean_without_largest(variances).mean())


def mean_without_largest(variances: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without its largest entry."""
    mean: np.ndarray = (variances.sum(axis=-1) - variances.max(axis=-1)) / (variances.shape[-1] - 1)
    return mean


def shared_variance(variances: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the variance of a paired difference that the functions share, 0 for fewer than :data:`POOLED_FROM`.

    The mean of all but the largest, so that one noisy function does not hide the others' differences.

    Args:
        variances: [..., m] of the paired differences of m functions.
        n: [m] paired seeds of each, at least 2.

    Returns:
        [...].
    """
    m = variances.shape[-1]
    if m < POOLED_FROM:
        return np.zeros(variances.shape[:-1])
    shared: np.ndarray = shared_factor(m, max(round(float(np.mean(n))), 2)) * mean_without_largest(variances)
    return shared


def half_widths(
    variances: np.ndarray,
    n: np.ndarray,
    *,
    level: float | np.ndarray,
    family: int,
    shared: np.ndarray,
    observed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each simultaneous interval reaches to each side of its mean difference, and by which noise.

    The larger of two: what the shared variance gives and what the function's own does.

    Args:
        variances: [..., m] of the paired differences of m functions.
        n: [m] paired seeds of each, at least 2.
        level: chance that any interval of the family misses; or [m], that of each function's look.
        family: comparisons of the study, those without a result yet included.
        shared: [...] of :func:`shared_variance`.
        observed: the number of functions that it is made of.

    Returns:
        Half widths, [..., m], and whether the function's own variance makes them, [..., m].
    """
    levels = np.broadcast_to(np.asarray(level, dtype=float), n.shape)

    def reach(own: bool) -> np.ndarray:
        return np.array([critical_value(a, family, observed, int(k), own=own) for a, k in zip(levels, n, strict=True)])

    by_own, by_shared = reach(True) * np.sqrt(variances / n), reach(False) * np.sqrt(shared[..., None] / n)
    return np.maximum(by_own, by_shared), by_own >= by_shared
