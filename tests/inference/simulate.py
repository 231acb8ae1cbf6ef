"""Simulated studies in arrays, judged by the engine's own variance and critical value: thousands a second."""

import numpy as np

from lpflu_bench.inference.critical import half_widths, shared_variance


def scenario(name, m):
    """Residual sd of the reference and of each of m functions."""
    sds = np.ones(m + 1)
    if name == "one 3x":
        sds[1] = 3
    elif name == "one 10x":
        sds[1] = 10
    elif name == "reference 2x":
        sds[0] = 2
    elif name == "small reference, one 3x":
        sds[0], sds[1] = 0.5, 3
    elif name == "half 3x":
        sds[1 : 1 + m // 2] = 3
    elif name == "ladder":
        sds[1:] = np.linspace(0.5, 3, m)
    elif name != "equal":
        raise KeyError(name)
    return sds


SCENARIOS = ["equal", "one 3x", "one 10x", "reference 2x", "small reference, one 3x", "half 3x", "ladder"]


def draw(rng, studies, m, n, sds=None, effects=0.0):
    """[studies, m, n] paired differences; the seeds' own effect cancels in them."""
    values = rng.standard_normal((studies, m + 1, n)) * (np.ones(m + 1) if sds is None else sds)[:, None]
    return values[:, 1:] - values[:, :1] + np.broadcast_to(np.asarray(effects, dtype=float), (m,))[:, None]


def intervals(differences, level=0.05, counts=None, family=None):
    """[studies, m] mean differences and half widths; ``counts[j]`` seeds of function j are used."""
    _, m, n = differences.shape
    counts = np.full(m, n) if counts is None else np.asarray(counts)
    means = np.stack([differences[:, j, :c].mean(-1) for j, c in enumerate(counts)], axis=1)
    variances = np.stack([differences[:, j, :c].var(-1, ddof=1) for j, c in enumerate(counts)], axis=1)
    shared = shared_variance(variances, counts)
    return means, half_widths(variances, counts, level=level, family=family or m, shared=shared, observed=m)
