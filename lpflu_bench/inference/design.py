"""What a number of seeds can show, before they are run."""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from lpflu_bench.inference.comparison import Comparison
from lpflu_bench.inference.critical import critical_value
from lpflu_bench.inference.rule import MIN_SEEDS, POWER
from lpflu_bench.inference.simulation import draw, judged

MAX_SEEDS = 1000
"""Above this many seeds the required number is not given exactly: nobody will run them."""
_VALUES = 16_000
"""Simulated differences that a quantile is taken of."""


@lru_cache(maxsize=512)
def _simulated(n: int, family: int, level: float) -> tuple[float, float]:
    """Return the two quantiles at :data:`POWER` that :class:`Design` reports, for differences with an sd of 1.

    Equally noisy functions, judged by the rule itself (fixed seed). A function whose true difference is d is decided on
    the right side if d exceeds half width - error of its mean: so a quantile of that is the detectable difference, and
    a quantile of half width + |error| is the margin within which a function without a difference is found equivalent.
    """
    draws = max(1000, min(_VALUES // family, 2_000_000 // (n * (family + 1))))
    errors, widths = judged(draw(np.random.default_rng(2), draws, family, n, sds=math.sqrt(0.5)), level=level)
    return float(np.quantile(widths - errors, POWER)), float(np.quantile(widths + np.abs(errors), POWER))


def detectable_difference(sd: float, n: int, family: int, level: float) -> float:
    """Return the true difference that n paired seeds decide on the right side with 80 % probability.

    Args:
        sd: standard deviation of a paired difference, in the score's unit.
        n: paired seeds, at least 2.
        family: comparisons with the reference.
        level: of the study's rule.
    """
    return sd * _simulated(n, family, level)[0]


def equivalence_margin(sd: float, n: int, family: int, level: float) -> float:
    """Return the smallest margin within which n seeds find a function without a difference equivalent (80 %)."""
    return sd * _simulated(n, family, level)[1]


def seeds_wanted(sd: float, difference: float, family: int, level: float, *, equivalence: bool = False) -> int:
    """Return the fewest seeds that decide a true difference of this size with 80 % probability.

    Args:
        sd: standard deviation of a paired difference.
        difference: the smallest one that matters, above 0, in the same unit.
        family: comparisons with the reference.
        level: of the study's rule.
        equivalence: instead, the fewest seeds that find no difference to be within a margin of this size.

    Returns:
        The number; ``MAX_SEEDS + 1`` for any larger one.
    """
    size = equivalence_margin if equivalence else detectable_difference
    low, high = MIN_SEEDS - 1, MIN_SEEDS
    while size(sd, high, family, level) > difference:
        if high > MAX_SEEDS:
            return MAX_SEEDS + 1
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(sd, middle, family, level) > difference else (low, middle)
    return min(high, MAX_SEEDS + 1)


def seeds_text(count: int) -> str:
    """Return a number of seeds in words."""
    return f"more than {MAX_SEEDS}" if count > MAX_SEEDS else str(count)


def predictive_power(comparison: Comparison, n: int, family: int, level: float, margin: float | None = None) -> float:
    """Return how likely a function that is undecided now is to be decided at ``n`` seeds.

    The mean difference of the further seeds is drawn from what the runs so far say of it (a flat prior), the noise is
    taken to stay: so a function whose true difference is near 0, or near the margin, is known early to be futile.

    Args:
        comparison: of the seeds so far.
        n: the largest number of seeds.
        family: comparisons with the reference.
        level: of the look at ``n`` seeds.
        margin: within which a difference does not matter.
    """
    width = critical_value(level, family, family, n, own=comparison.own_noise) * comparison.noise / math.sqrt(n)
    spread = comparison.noise * math.sqrt(1 / comparison.n - 1 / n)

    def below(bound: float) -> float:
        return float(special.ndtr((bound - comparison.difference) / spread))

    decided = 1 - below(width) + below(-width)
    if margin is not None and (inner := min(margin - width, width)) > 0:
        decided += below(inner) - below(-inner)
    return decided
