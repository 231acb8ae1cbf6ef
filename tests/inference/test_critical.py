import numpy as np
import pytest
from scipy import stats

from lpflu_bench.inference.critical import (
    critical_value,
    dunnett_probability,
    dunnett_quantile,
    half_widths,
    mean_without_largest,
    shared_factor,
    shared_variance,
)


@pytest.mark.parametrize(("comparisons", "df"), [(2, 2), (3, 4), (5, 7)])
def test_dunnetts_probability_is_the_multivariate_t(comparisons, df):
    shape = np.full((comparisons, comparisons), 0.5) + 0.5 * np.eye(comparisons)
    joint = stats.multivariate_t(np.zeros(comparisons), shape, df=df, seed=0)
    for value in (1.0, 3.0):
        corner = np.full(comparisons, value)
        expected = joint.cdf(corner, lower_limit=-corner, maxpts=20_000)
        assert dunnett_probability(value, comparisons, df) == pytest.approx(expected, abs=1e-3)


def test_one_comparison_is_students_t():
    for df in (1, 1.75, 4, 30):
        assert dunnett_quantile(0.01, 1, df) == pytest.approx(stats.t.ppf(0.995, df))
        assert dunnett_probability(stats.t.ppf(0.995, df), 1, df) == pytest.approx(0.99, abs=1e-6)


def test_small_levels_of_early_looks_are_exact_too():
    assert dunnett_probability(dunnett_quantile(1e-4, 5, 7.0), 5, 7.0) == pytest.approx(1 - 1e-4, abs=1e-9)


def test_equal_variances_give_scipys_dunnett():
    """With every degree of freedom of a one-way layout in the shared variance, the interval is scipy's."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(0, 1, 6) for _ in range(4)]
    interval = stats.dunnett(*groups[1:], control=groups[0], random_state=1).confidence_interval(0.95)
    pooled = np.mean([g.var(ddof=1) for g in groups])
    width = dunnett_quantile(0.05, 3, 20) * np.sqrt(2 * pooled / 6)
    assert (interval.high - interval.low) / 2 == pytest.approx(np.full(3, width), rel=0.01)


def test_the_critical_value_grows_with_the_family_and_bounds_the_own_t():
    assert [round(critical_value(0.05, 5, 5, n), 2) for n in (3, 5, 8, 12)] == [4.30, 3.24, 2.89, 2.74]
    assert critical_value(0.05, 9, 5, 5) > critical_value(0.05, 5, 5, 5)
    assert critical_value(0.05, 2, 2, 5) == pytest.approx(stats.t.ppf(1 - (1 - 0.95**0.5) / 2, 4))  # Sidak
    assert critical_value(0.05, 20, 20, 3) >= stats.t.ppf(0.975, 2)


@pytest.mark.parametrize(("m", "n"), [(3, 3), (5, 5), (10, 12)])
def test_the_shared_factor_makes_the_shared_variance_unbiased(m, n):
    values = np.random.default_rng(7).standard_normal((20_000, m + 1, n))
    variances = (values[:, 1:] - values[:, :1]).var(axis=-1, ddof=1)
    assert shared_variance(variances, np.full(m, n)).mean() == pytest.approx(2.0, rel=0.025)
    assert {3: 1.55, 5: 1.23, 10: 1.07}[m] == pytest.approx(shared_factor(m, n), abs=0.02)


def test_the_largest_variance_is_left_out_and_two_are_not_shared():
    assert mean_without_largest(np.array([1.0, 2.0, 100.0])) == 1.5
    assert shared_variance(np.array([1.0, 5.0]), np.array([3, 3])) == 0


def test_a_noisy_function_widens_its_own_interval_only():
    settings = {"level": 0.05, "family": 4, "observed": 4}
    n = np.full(4, 5)
    variances = np.array([1.0, 1.0, 1.0, 1.0])
    noisy = np.array([1.0, 1.0, 1.0, 400.0])
    calm, _ = half_widths(variances, n, shared=shared_variance(variances, n), **settings)
    loud, own = half_widths(noisy, n, shared=shared_variance(noisy, n), **settings)
    assert loud[:3] == pytest.approx(calm[:3])
    assert loud[3] > 15 * calm[3]
    assert own.tolist() == [False, False, False, True]
