import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from lpflu_bench.inference.design import (
    MAX_SEEDS,
    detectable_difference,
    equivalence_margin,
    seeds_text,
    seeds_wanted,
)
from lpflu_bench.inference.simulation import draw, judged


def test_one_comparison_is_the_paired_t_test_of_statsmodels():
    for n in (5, 8, 20):
        effect = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
        assert detectable_difference(1.0, n, 1, 0.05) == pytest.approx(effect, rel=0.04)
    assert seeds_wanted(2.0, 2.0, 1, 0.05) == pytest.approx(
        TTestPower().solve_power(1.0, alpha=0.05, power=0.8), abs=1.1
    )


def test_a_detectable_difference_is_detected_in_four_of_five_studies():
    rng = np.random.default_rng(1)
    for n in (3, 5, 8):
        effect = detectable_difference(np.sqrt(2), n, 5, 0.05)
        means, widths = judged(draw(rng, 4000, 5, n, effects=[effect, 0, 0, 0, 0]))
        assert (means - widths > 0)[:, 0].mean() == pytest.approx(0.8, abs=0.025)
        margin = equivalence_margin(np.sqrt(2), n, 5, 0.05)
        means, widths = judged(draw(rng, 4000, 5, n))
        assert (np.abs(means) + widths < margin)[:, 0].mean() == pytest.approx(0.8, abs=0.025)


def test_seeds_wanted_are_the_fewest_and_count_the_family():
    for family in (1, 5, 10):
        n = seeds_wanted(1.0, 0.8, family, 0.05)
        assert detectable_difference(1.0, n, family, 0.05) <= 0.8 < detectable_difference(1.0, n - 1, family, 0.05)
    wanted = [seeds_wanted(1.0, 0.8, family, 0.05) for family in (1, 5, 10, 30)]
    assert wanted == sorted(set(wanted))  # a larger family needs more
    assert seeds_wanted(1.0, 0.8, 5, 0.01) > wanted[1]
    assert seeds_wanted(2.0, 1.6, 5, 0.05) == wanted[1]  # only the ratio counts
    assert seeds_wanted(1.0, 0.8, 5, 0.05, equivalence=True) > wanted[1]


def test_more_seeds_than_anybody_runs_are_not_told_exactly():
    assert seeds_wanted(1.0, 0.001, 1, 0.05) == MAX_SEEDS + 1
    assert seeds_text(MAX_SEEDS + 1) == "more than 1000"
    assert seeds_text(7) == "7"


def test_the_normal_limit_of_many_seeds():
    limit = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / np.sqrt(400)
    assert detectable_difference(1.0, 400, 1, 0.05) == pytest.approx(limit, rel=0.04)
