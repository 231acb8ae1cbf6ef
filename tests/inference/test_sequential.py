import numpy as np
import pytest
from scipy import stats

from lpflu_bench.inference.sequential import default_looks, look_levels


def test_the_levels_spend_what_the_spending_function_gives():
    """The chance of passing a bound by each look, from the joint normal of the looks' statistics."""
    looks = (3, 5, 8, 12)
    levels = look_levels(0.05, looks)
    bounds = stats.norm.isf(np.array(levels) / 2)
    n = np.array(looks, dtype=float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    for k in range(1, 5):
        inside = stats.multivariate_normal.cdf(
            bounds[:k], np.zeros(k), correlation[:k, :k], lower_limit=-bounds[:k], abseps=1e-7, rng=0
        )
        assert 1 - inside == pytest.approx(0.05 * (n[k - 1] / 12) ** 2, abs=1e-5)


def test_one_look_costs_nothing_and_later_ones_less_than_all():
    assert look_levels(0.05, (7,)) == pytest.approx((0.05,))
    levels = look_levels(0.05, (5, 8, 12))
    assert levels[0] < levels[1] < levels[2] < 0.05
    assert sum(levels) > 0.05


def test_default_looks_begin_at_five_or_later():
    assert default_looks(12) == (5, 8, 12)
    assert default_looks(20) == (6, 9, 13, 20)
    assert default_looks(5) == (5,)
    assert default_looks(4) == (4,)
