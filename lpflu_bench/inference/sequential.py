"""Looking at a study more than once: what each look may spend of the level.

Repeated confidence intervals (Jennison and Turnbull, Group Sequential Methods, 2000, chapter 9) with the spending function
level * (n / n_max)^2 of Kim and DeMets (Biometrika 1987): all looks hold together, so a verdict holds whenever one stops.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from lpflu_bench.inference.comparison import Comparison, Values
from lpflu_bench.inference.design import predictive_power
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.verdicts import Verdict, Word

FIRST_LOOK = 5
FUTILE = 0.1
"""Below this probability of a decision at the last look a function gets no more seeds."""


def default_looks(max_seeds: int) -> tuple[int, ...]:
    """Return rising looks up to ``max_seeds``, the first at five seeds or little later: 5, 8, 12 for 12."""
    looks = [max_seeds]
    while (earlier := math.ceil(looks[0] / 1.6)) >= FIRST_LOOK:
        looks.insert(0, earlier)
    return tuple(looks)


@lru_cache(maxsize=256)
def look_levels(level: float, looks: Sequence[int]) -> tuple[float, ...]:
    """Return the two-sided nominal level of each look, so that all together err with probability ``level``.

    Args:
        level: of the whole study.
        looks: rising numbers of seeds (a tuple); the last one is the largest.
    """
    spent = [level * (n / looks[-1]) ** 2 for n in looks]
    levels: list[float] = []
    # The density of the sum of n standard normal differences, on paths that no earlier look has ended.
    grid = np.zeros(1)
    mass = np.ones(1)
    before_n, before_spent = 0, 0.0
    for n, total in zip(looks, spent, strict=True):
        step = math.sqrt(n - before_n)

        def beyond(bound: float, step: float = step, grid: np.ndarray = grid, mass: np.ndarray = mass) -> float:
            return float(mass @ (special.ndtr((-bound - grid) / step) + special.ndtr((grid - bound) / step)))

        wanted = total - before_spent
        bound = float(optimize.brentq(lambda b, f=beyond, w=wanted: f(b) - w, 0.0, 12 * math.sqrt(n), xtol=1e-10))
        levels.append(float(2 * special.ndtr(-bound / math.sqrt(n))))
        points = np.linspace(-bound, bound, 1501)
        width = points[1] - points[0]
        kernel = np.exp(-((points[:, None] - grid) ** 2) / (2 * step**2)) / (step * math.sqrt(2 * math.pi))
        density = kernel @ mass
        weights = np.full(points.shape, width)
        weights[[0, -1]] /= 2
        grid, mass, before_n, before_spent = points, density * weights, n, total
    return tuple(levels)


@dataclass(frozen=True)
class LastLooks:
    """What a sequential study is judged by: of each function the seeds of its last look, and no later ones.

    Attributes:
        values: scores by function and seed.
        level: of each function that has had a look; :func:`~lpflu_bench.inference.comparison.compare` takes it as it is.
        number: function -> the look it is at, from 1; 0 for none yet.
    """

    values: dict[str, dict[int, float]]
    level: dict[str, float]
    number: dict[str, int]


def last_looks(values: Values, ended: Mapping[str, Sequence[int]], rule: Rule) -> LastLooks:
    """Return what each function's last look sees.

    Args:
        values: scores by function and seed.
        ended: function -> its seeds in the declared order, up to the first that has not ended; a seed that ended
            without a value (a diverged training without a worst score) counts for the look.
        rule: with its looks.
    """
    levels = look_levels(rule.level, rule.looks)
    seen = {name: dict(scores) for name, scores in values.items()}
    level: dict[str, float] = {}
    number: dict[str, int] = {}
    for name in values:
        number[name] = sum(look <= len(ended[name]) for look in rule.looks)
        if reached := number[name]:
            level[name] = levels[reached - 1]
            seeds = set(ended[name][: rule.looks[reached - 1]])
            seen[name] = {seed: value for seed, value in values[name].items() if seed in seeds}
    return LastLooks(seen, level, number)


class Stop(StrEnum):
    """Why a function needs no more seeds."""

    DECIDED = "decided"
    LAST_LOOK = "at the last look"
    FUTILE = "futile"


def stop(
    comparison: Comparison | None, verdict: Verdict, *, look: int, rule: Rule, family: int, margin: float | None = None
) -> Stop | None:
    """Return why a function needs no more seeds; None if it does.

    Stopping because a decision has become unlikely can only make fewer claims, so it costs nothing of the level.

    Args:
        comparison: of the function at its last look; None where it has no seed in common with the reference.
        verdict: that follows.
        look: the number of that look, from 1; 0 for none yet.
        rule: with its looks.
        family: comparisons with the reference.
        margin: within which a difference does not matter.
    """
    if verdict.decided:
        return Stop.DECIDED
    if look == len(rule.looks):
        return Stop.LAST_LOOK
    if comparison is not None and verdict.word == Word.UNDECIDED:
        level = look_levels(rule.level, rule.looks)[-1]
        if predictive_power(comparison, rule.looks[-1], family, level, margin) < FUTILE:
            return Stop.FUTILE
    return None
