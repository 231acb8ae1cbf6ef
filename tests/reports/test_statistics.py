import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from lpflu_bench.reports import statistics as st

OURS = [31.1, 30.8, 31.6, 31.0, 31.3]
THEIRS = [31.9, 31.2, 31.8, 31.7, 31.5]


def compare(ours, theirs, **options):
    return st.compare_paired(ours, theirs, **({"lower_is_better": True} | options))


def test_paired_difference_interval_and_p_are_scipys():
    paired = compare(OURS, THEIRS)
    reference = stats.ttest_rel(OURS, THEIRS)
    interval = reference.confidence_interval(0.95)
    assert paired.n == 5
    assert paired.difference == pytest.approx(np.mean(OURS) - np.mean(THEIRS))
    assert paired.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert (paired.interval.low, paired.interval.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert paired.improvement == 1.0
    assert compare(OURS, THEIRS, lower_is_better=False).improvement == 0.0


def test_improvement_counts_ties_half():
    assert compare([1.0, 2.0, 3.0, 5.0], [1.0, 3.0, 4.0, 4.0]).improvement == pytest.approx(0.625)


def test_mean_and_prediction_intervals():
    low, high = stats.t.interval(0.95, 4, np.mean(OURS), stats.sem(OURS))
    interval = st.mean_interval(OURS)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    wide = st.prediction_interval(OURS)
    assert (wide.high - wide.low) / (high - low) == pytest.approx(math.sqrt(5 + 1))
    assert 31.0 in wide
    assert 40.0 not in wide
    assert st.mean_interval([1.0]) is None
    assert st.prediction_interval([1.0]) is None


@pytest.mark.parametrize(("percent", "samples"), [(31.26, 10000), (0.0, 50), (100.0, 50), (12.0, 100)])
def test_wilson_is_statsmodels(percent, samples):
    low, high = proportion_confint(round(percent / 100 * samples), samples, 0.05, "wilson")
    interval = st.wilson_interval(percent, samples)
    assert (interval.low, interval.high) == pytest.approx((100 * low, 100 * high), abs=1e-9)


def test_newcombe_is_statsmodels():
    low, high = confint_proportions_2indep(3126, 10000, 3269, 10000, method="newcomb", compare="diff")
    interval = st.newcombe_interval(31.26, 32.69, 10000)
    assert (interval.low, interval.high) == pytest.approx((100 * low, 100 * high), abs=1e-6)


def test_a_single_run_has_the_test_sets_interval_or_none_and_no_verdict():
    single = compare([20.0], [40.0], samples=1000)
    assert single.interval.method == "Newcombe, test set"
    assert single.interval.high < 0
    assert single.p is None
    words = st.verdict(single, None, lower_is_better=True, alpha=0.05, family=5)[0]
    assert words == "not separable (1 seed; at least 3 are needed)"
    assert compare([20.0], [40.0]).interval is None


def test_two_seeds_have_an_interval_but_no_verdict():
    paired = compare([30.0, 30.1], [32.0, 32.2])
    assert paired.p is None
    assert paired.interval.high < paired.difference + 12.8
    words = st.verdict(paired, None, lower_is_better=True, alpha=0.05, family=1)[0]
    assert words.startswith("not separable (2 seeds; about ")


def test_differences_without_spread_are_not_called_certain():
    # 0.1 apart in every seed, up to rounding: a t-test would call this p = 1e-15.
    paired = compare([31.2, 30.1, 29.7], [31.1, 30.0, 29.6])
    assert paired.p is None
    words = st.verdict(paired, None, lower_is_better=True, alpha=0.05, family=1)[0]
    assert words == "not separable (3 seeds, no spread to judge by)"
    same = compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert same.p == 1.0
    assert "identical runs" in st.verdict(same, 1.0, lower_is_better=True, alpha=0.05, family=1)[0]


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="2 and 3"):
        compare([1.0, 2.0], [1.0, 2.0, 3.0])


def test_holm_is_statsmodels_and_skips_what_was_not_tested():
    ps = [0.01, 0.04, 0.03, 0.005, 0.5]
    assert st.holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))
    assert st.holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert st.holm([]) == []
    assert st.holm([0.01, None, 0.04], family=4) == pytest.approx([0.04, None, 0.12])
    assert st.holm([0.01, 0.04], family=1) == st.holm([0.01, 0.04])


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.05 / 28])
def test_power_is_statsmodels(alpha):
    # The grid reaches far from the centre, where scipy's fast function returns nan.
    for effect in (0.05, 0.6, 2.311, 3.976, 23.207):
        for n in (3, 6, 50, 100, 300, 1000):
            power = st.t_test_power(effect, n, alpha)
            expected = TTestPower().power(effect, n, alpha)
            if math.isnan(expected):  # statsmodels adds the wrong side's tail, which is too small to compute there
                assert 0.96 < power <= 1
            else:
                assert power == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("scale", [0.2, 0.35, 0.6, 1.0])
def test_seeds_needed_is_statsmodels(scale):
    differences = np.array([-1.0, 0.2, 1.0, 0.6]) + scale
    paired = compare(list(differences), [0.0] * 4)
    wanted = TTestPower().solve_power(abs(paired.difference) / paired.sd, None, 0.01, 0.8)
    assert st.seeds_needed(paired, alpha=0.01) == math.ceil(wanted)


def test_seeds_needed_is_capped_and_more_than_there_are():
    assert st.seeds_needed(compare([1.0, -1.0, 0.001], [0.0] * 3), alpha=0.05) == st.MAX_SEEDS + 1
    words = st.verdict(compare([1.0, -1.0, 0.001], [0.0] * 3), 0.9, lower_is_better=True, alpha=0.05, family=1)[0]
    assert words == "not separable (3 seeds; more than 1000 would be needed)"
    assert st.seeds_needed(compare(OURS, THEIRS), alpha=0.05) >= 6


def test_verdicts_follow_the_metrics_direction():
    paired = compare(OURS, THEIRS)
    assert st.verdict(paired, 0.01, lower_is_better=True, alpha=0.05, family=1) == ("better", None)
    assert st.verdict(paired, 0.01, lower_is_better=False, alpha=0.05, family=1) == ("worse", None)
    words, needed = st.verdict(paired, 0.06, lower_is_better=True, alpha=0.05, family=1)
    assert words == f"not separable (5 seeds; about {needed} would be needed)"


@pytest.mark.parametrize("seeds", [3, 5])
def test_false_positives_over_equal_functions_are_as_many_as_claimed(seeds):
    rng = np.random.default_rng(seeds)
    studies, functions = 2500, 5
    single = family = covered = 0
    for _ in range(studies):
        common = rng.normal(0, 0.5, seeds)
        reference = common + rng.normal(0, 0.3, seeds)
        pairs = [compare(common + rng.normal(0, 0.3, seeds), reference) for _ in range(functions)]
        single += sum(pair.p < 0.05 for pair in pairs)
        covered += sum(0.0 in pair.interval for pair in pairs)
        family += any(p < 0.05 for p in st.holm([pair.p for pair in pairs]))
    # The comparisons of one study share a reference, so the binomial error below is widened by their number.
    tolerance = 3 * math.sqrt(0.05 * 0.95 / studies)
    assert single / (studies * functions) == pytest.approx(0.05, abs=tolerance)
    assert covered / (studies * functions) == pytest.approx(0.95, abs=tolerance)
    assert 0.02 < family / studies < 0.05 + tolerance


def test_best_of_equal_functions_is_rarely_separable():
    rng = np.random.default_rng(0)
    studies = 800
    bold = 0
    for _ in range(studies):
        values = {name: dict(enumerate(rng.normal(30, 0.3, 5))) for name in "abc"}
        bold += st.separable_best(values, lower_is_better=True) is not None
    assert bold / studies < 0.05


def test_best_is_separable_from_every_other_one_or_none():
    rng = np.random.default_rng(1)
    noise = {name: rng.normal(0, 0.1, 5) for name in "abc"}
    means = {"a": 30.0, "b": 31.0, "c": 33.0}
    values = {name: dict(enumerate(means[name] + noise[name])) for name in means}
    assert st.separable_best(values, lower_is_better=True) == "a"
    assert st.separable_best(values, lower_is_better=False) == "c"
    values["b"] = dict(enumerate(30.0 + noise["b"]))
    assert st.separable_best(values, lower_is_better=True) is None
    values["b"] = {9: 40.0}  # no common seed: nothing is known of the pair
    assert st.separable_best(values, lower_is_better=True) is None
    assert st.separable_best({"a": values["a"]}, lower_is_better=True) is None


def test_ranks_are_scipys_friedman_and_demsars_critical_difference():
    rng = np.random.default_rng(0)
    scores = rng.normal([0.0, 0.1, 1.0, 2.0], 0.4, (12, 4))
    ranks = st.average_ranks(scores, list("abcd"), [True] * 12)
    assert ranks.p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
    assert ranks.average["d"] == pytest.approx(stats.rankdata(scores, axis=1).mean(axis=0)[3])
    assert list(ranks.average)[-1] == "d"
    # Demsar 2006, Table 5a: q_0.05 = 2.569 for four classifiers.
    assert ranks.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 12)), abs=2e-3)
    for group in ranks.groups:
        assert ranks.average[group[-1]] - ranks.average[group[0]] < ranks.critical_difference
    assert not any({"a", "d"} <= set(group) for group in ranks.groups)


def test_ranks_turn_with_the_direction_and_need_enough_rows():
    scores = np.tile([3.0, 2.0, 1.0], (6, 1)) + np.arange(6)[:, None]
    assert list(st.average_ranks(scores, list("abc"), [False] * 6).average) == ["a", "b", "c"]
    tied = st.average_ranks(np.ones((5, 3)), list("abc"), [True] * 5)
    assert math.isnan(tied.p)
    assert tied.groups == [["a", "b", "c"]]
    with pytest.raises(ValueError, match="got 4 and 3"):
        st.average_ranks(scores[:4], list("abc"), [True] * 4)
