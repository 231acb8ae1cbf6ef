"""Simulated studies in arrays, judged by the rule itself, thousands a second."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpflu_bench.inference.critical import half_widths, shared_variance

Floats = NDArray[np.float64]


def draw(
    rng: np.random.Generator,
    studies: int,
    m: int,
    n: int,
    sds: ArrayLike = 1.0,
    effects: ArrayLike = 0.0,
    *,
    noise: str = "normal",
) -> Floats:
    """Return the paired differences of m functions from their reference, [studies, m, n]; the seeds' own effect cancels.

    Args:
        rng: makes them.
        studies: how many.
        m: functions beside the reference.
        n: seeds.
        sds: residual standard deviations, [m + 1], the reference's first.
        effects: true differences, [m].
        noise: ``normal``, ``t3`` (Student's t with three degrees of freedom), or ``outliers`` (normal, and +30 with
            probability 0.02).
    """
    shape = (studies, m + 1, n)
    values = rng.standard_t(3, shape) if noise == "t3" else rng.standard_normal(shape)
    if noise == "outliers":
        values += 30 * (rng.random(shape) < 0.02)
    values *= np.broadcast_to(np.asarray(sds, dtype=float), (m + 1,))[:, None]
    shift = np.broadcast_to(np.asarray(effects, dtype=float), (m,))[:, None]
    differences: Floats = values[:, 1:] - values[:, :1] + shift
    return differences


def judged(
    differences: Floats, *, level: float = 0.05, counts: Sequence[int] | None = None, family: int | None = None
) -> tuple[Floats, Floats]:
    """Return mean differences and half widths of their simultaneous intervals, [studies, m] each.

    Args:
        differences: [studies, m, n].
        level: chance that any interval of a study misses.
        counts: how many of the n seeds each function has; all by default.
        family: comparisons of the study; m by default.
    """
    _, m, n = differences.shape
    seeds = np.array([n] * m if counts is None else counts)
    means = np.stack([differences[:, j, :c].mean(-1) for j, c in enumerate(seeds)], axis=1)
    variances = np.stack([differences[:, j, :c].var(-1, ddof=1) for j, c in enumerate(seeds)], axis=1)
    shared = shared_variance(variances, seeds)
    widths, _ = half_widths(variances, seeds, level=level, family=family or m, shared=shared, observed=m)
    return means, widths


def scenario(name: str, m: int) -> Floats:
    """Return the residual standard deviations of the reference and of m functions, [m + 1].

    Raises:
        KeyError: there is no scenario of this name.
    """
    return _SCENARIOS[name](m)


def _noisier(count: int, factor: float, m: int, reference: float = 1.0) -> Floats:
    return np.array([reference, *([factor] * count), *([1.0] * (m - count))])


_SCENARIOS: dict[str, Callable[[int], Floats]] = {
    "equal": lambda m: np.ones(m + 1),
    "one 3x": lambda m: _noisier(1, 3, m),
    "one 10x": lambda m: _noisier(1, 10, m),
    "two 10x": lambda m: _noisier(min(2, m), 10, m),
    "half 3x": lambda m: _noisier(m // 2, 3, m),
    "half 10x": lambda m: _noisier(m // 2, 10, m),
    "all but one 10x": lambda m: _noisier(max(m - 1, 1), 10, m),
    "reference 2x": lambda m: _noisier(0, 1, m, 2),
    "reference 10x": lambda m: _noisier(0, 1, m, 10),
    "small reference, one 3x": lambda m: _noisier(1, 3, m, 0.5),
    "ladder": lambda m: np.concatenate([[1.0], np.linspace(0.5, 3, m)]),
}
SCENARIOS = tuple(_SCENARIOS)
