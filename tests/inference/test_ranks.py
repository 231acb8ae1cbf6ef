import math

import numpy as np
import pytest
from scipy import stats

from lpflu_bench.inference.ranks import _range_quantile, average_ranks


def test_ranks_are_scipys_friedman_and_demsars_critical_difference():
    rng = np.random.default_rng(0)
    scores = rng.normal([0.0, 0.1, 1.0, 2.0], 0.4, (12, 4))
    ranks = average_ranks(scores, list("abcd"), [True] * 12)
    assert ranks.p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
    assert ranks.average["d"] == pytest.approx(stats.rankdata(scores, axis=1).mean(axis=0)[3])
    assert list(ranks.average)[-1] == "d"
    # Demsar 2006, Table 5a: q_0.05 = 2.569 for four classifiers.
    assert ranks.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 12)), abs=2e-3)
    for group in ranks.groups:
        assert ranks.average[group[-1]] - ranks.average[group[0]] < ranks.critical_difference
    assert not any({"a", "d"} <= set(group) for group in ranks.groups)


def test_tied_scores_share_their_ranks():
    scores = np.random.default_rng(1).integers(0, 4, (20, 5)).astype(float)
    ranks = average_ranks(scores, list("abcde"), [True] * 20)
    assert ranks.p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, rel=1e-10)
    assert [ranks.average[name] for name in "abcde"] == pytest.approx(stats.rankdata(scores, axis=1).mean(axis=0))


@pytest.mark.parametrize(("level", "count"), [(0.95, 3), (0.9, 10), (0.99, 30), (0.5, 100)])
def test_the_quantile_of_a_range_is_that_of_the_studentized_range(level, count):
    assert _range_quantile(level, count) == pytest.approx(stats.studentized_range.ppf(level, count, np.inf), rel=1e-6)


def test_ranks_turn_with_the_direction_and_need_enough_rows():
    scores = np.tile([3.0, 2.0, 1.0], (6, 1)) + np.arange(6)[:, None]
    assert list(average_ranks(scores, list("abc"), [False] * 6).average) == ["a", "b", "c"]
    tied = average_ranks(np.ones((5, 3)), list("abc"), [True] * 5)
    assert math.isnan(tied.p)
    assert tied.groups == [["a", "b", "c"]]
    with pytest.raises(ValueError, match="got 4 and 3"):
        average_ranks(scores[:4], list("abc"), [True] * 4)
