"""Looking at a study more than once: what each look may spend of the level.

Repeated confidence intervals (Jennison and Turnbull, Group Sequential Methods, 2000, chapter 9) with the spending function
level * (n / n_max)^2 of Kim and DeMets (Biometrika 1987): all looks hold together, so a verdict holds whenever one stops.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize, special

FIRST_LOOK = 5


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
