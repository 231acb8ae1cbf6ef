import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from lpflu_bench.inference.comparison import compare
from lpflu_bench.inference.images import (
    bootstrap_variance,
    bootstrap_weights,
    image_variance,
    mcnemar,
    two_networks_by_resamples,
    with_new_images,
)


@pytest.mark.parametrize(("b", "c"), [(12, 3), (3, 12), (8, 8), (0, 6), (5, 0), (0, 0), (40, 61)])
def test_mcnemar_is_statsmodels_and_its_interval_agrees_with_it(b, c):
    rest = 200
    first = np.array([True] * b + [False] * c + [True, False] * (rest // 2))
    second = np.array([False] * b + [True] * c + [True, False] * (rest // 2))
    found = mcnemar(first, second)
    assert found.p == pytest.approx(reference_mcnemar([[rest, b], [c, rest]], exact=True).pvalue)
    assert (found.only_first, found.only_second) == (b, c)
    assert found.difference == pytest.approx(100 * (first.mean() - second.mean()))
    assert found.interval.low <= found.difference <= found.interval.high
    assert found.interval.excludes_zero == (found.p < 0.05)
    if b + c:
        exact = stats.binomtest(b, b + c).proportion_ci(0.95, "exact")
        scale = 100 * (b + c) / len(first)
        assert (found.interval.low, found.interval.high) == pytest.approx(
            (scale * (2 * exact.low - 1), scale * (2 * exact.high - 1))
        )


def test_the_variances_are_those_of_the_two_way_layout():
    """statsmodels' mean square of the residual, and the variance of image means."""
    import pandas as pd
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    rng = np.random.default_rng(0)
    differences = rng.normal(0, 1, (4, 30)) + rng.normal(0, 2, 30) + rng.normal(0, 1, (4, 1))
    found = image_variance(differences)
    frame = pd.DataFrame([(s, i, differences[s, i]) for s in range(4) for i in range(30)], columns=["s", "i", "d"])
    table = anova_lm(smf.ols("d ~ C(s) + C(i)", frame).fit())
    assert found.residual == pytest.approx(table.loc["Residual", "mean_sq"] / (4 * 30))
    assert found.total == pytest.approx(differences.mean(0).var(ddof=1) / 30)


def test_the_bootstrap_gives_the_same_variances_for_a_mean():
    rng = np.random.default_rng(1)
    differences = rng.normal(0, 1, (3, 400)) + rng.normal(0, 1, 400)
    exact = image_variance(differences)
    weights = bootstrap_weights(400, 4000)
    found = bootstrap_variance(differences @ weights.T / 400, 400)
    assert found.total == pytest.approx(exact.total, rel=0.1)
    assert found.residual == pytest.approx(exact.residual, rel=0.15)


def _studies(n, image_sd, seed_sd, residual_sd, studies=800, images=150):
    rng = np.random.default_rng(n)
    for _ in range(studies):
        yield (
            rng.normal(0, image_sd, images) + rng.normal(0, seed_sd, (n, 1)) + rng.normal(0, residual_sd, (n, images))
        )


@pytest.mark.parametrize(("image_sd", "seed_sd"), [(0.0, 0.3), (3.0, 0.1), (3.0, 0.5), (6.0, 0.0)])
def test_it_covers_new_images_and_is_never_narrower(image_sd, seed_sd):
    for n in (3, 5):
        covered, only_seeds = [], []
        for differences in _studies(n, image_sd, seed_sd, 3.0):
            scores = {"a": dict.fromkeys(range(n), 0.0), "b": dict(enumerate(differences.mean(1)))}
            comparison = compare(scores, "a", family=1)["b"]
            wide = with_new_images(comparison, image_variance(differences), level=0.05, family=1, observed=1)
            assert wide.low <= comparison.interval.low
            assert wide.high >= comparison.interval.high
            covered.append(wide.low <= 0 <= wide.high)  # the true difference over all images
            only_seeds.append(not comparison.interval.excludes_zero)
        assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 800)
    if image_sd == 6.0:
        assert np.mean(only_seeds) < 0.9  # seeds alone say nothing of new images


def test_two_networks_by_resamples_is_the_percentile_interval():
    resampled = np.arange(1001) / 1000
    found = two_networks_by_resamples(0.5, resampled, 0.1)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.05, 0.95))
    assert found.p is None


def test_resamples_are_the_same_for_every_run_and_have_every_image_once_on_average():
    weights = bootstrap_weights(50, 300)
    assert (weights.sum(1) == 50).all()
    assert weights.mean() == 1
    assert np.array_equal(weights, bootstrap_weights(50, 300))
