import numpy as np
import pytest
from scipy import stats

from lpflu_bench.inference.comparison import Comparison
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import Stop, default_looks, last_looks, look_levels, stop
from lpflu_bench.inference.verdicts import Verdict, Word


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


RULE = Rule(margin={"": 1.0}, looks=(5, 8, 12))


def test_a_look_sees_its_seeds_alone():
    values = {"relu": {s: float(s) for s in range(9)}, "a": dict.fromkeys(range(5), 0.0), "b": {0: 1.0}}
    looked = last_looks(values, {"relu": list(range(9)), "a": list(range(5)), "b": [0]}, RULE)
    assert looked.number == {"relu": 2, "a": 1, "b": 0}
    assert list(looked.values["relu"]) == list(range(8))
    assert list(looked.values["a"]) == list(range(5))
    assert looked.level == dict(zip(("a", "relu"), look_levels(0.05, RULE.looks), strict=False))


@pytest.mark.parametrize(
    ("difference", "half_width", "look", "why"),
    [
        (-3.0, 1.0, 1, Stop.DECIDED),
        (0.1, 0.5, 1, Stop.DECIDED),  # equivalent
        (1.0, 1.2, 1, None),
        (1.0, 1.2, 3, Stop.LAST_LOOK),
        (0.0, 2.0, 2, Stop.FUTILE),
    ],
)
def test_why_a_function_needs_no_more_seeds(difference, half_width, look, why):
    noise = 1.0 if look == 1 else 3.0
    comparison = Comparison(RULE.looks[look - 1], difference, 1.0, half_width, noise)
    verdict = comparison.verdict(lower_is_better=True, margin=RULE.margin_of("top1_error"))
    assert stop(comparison, verdict, look=look, rule=RULE, family=5, margin=1.0) == why


def test_a_function_without_any_pair_stops_at_the_last_look():
    verdict = Verdict(Word.NONE, reason="no common seed")
    assert stop(None, verdict, look=3, rule=RULE, family=5) == Stop.LAST_LOOK
    assert stop(None, verdict, look=2, rule=RULE, family=5) is None
