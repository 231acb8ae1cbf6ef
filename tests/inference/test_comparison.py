import numpy as np
import pytest
from scipy import stats

from lpflu_bench.inference.comparison import best, compare
from lpflu_bench.inference.critical import critical_value, shared_factor
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.verdicts import Interval, Verdict, Word, judge


def study(sd=0.2, seeds=5, effects=(0.0, -1.0, 0.0, 0.3, 0.0, 0.0), rng_seed=0):
    rng = np.random.default_rng(rng_seed)
    common = rng.normal(50, 1, seeds)
    return {f"f{i}": dict(enumerate(common + e + rng.normal(0, sd, seeds))) for i, e in enumerate(effects)}


def test_words_follow_from_the_interval_alone():
    for low, high, margin, word, below in (
        (-2.0, -1.0, None, Word.BETTER, False),
        (1.0, 2.0, None, Word.WORSE, False),
        (-1.0, 1.0, None, Word.UNDECIDED, False),
        (-1.0, 1.0, 1.0, Word.UNDECIDED, False),  # the margin itself is not inside
        (-0.9, 0.9, 1.0, Word.EQUIVALENT, False),
        (-0.2, -0.1, 1.0, Word.BETTER, True),
        (0.0, 1.0, None, Word.UNDECIDED, False),
    ):
        verdict = judge(Interval(low, high), lower_is_better=True, margin=margin)
        assert (verdict.word, verdict.below_margin) == (word, below)
    assert judge(Interval(-2, -1), lower_is_better=False).word == Word.WORSE
    assert str(Verdict(Word.BETTER, below_margin=True)) == "better (by less than the margin)"


def test_intervals_are_the_formula_of_the_rule():
    values = study()
    result = compare(values, "f0", family=5)
    differences = {k: np.array(list(v.values())) - np.array(list(values["f0"].values())) for k, v in values.items()}
    variances = {k: d.var(ddof=1) for k, d in differences.items() if k != "f0"}
    rest = sorted(variances.values())[:-1]
    shared = shared_factor(5, 5) * np.mean(rest)
    for name, comparison in result.items():
        assert comparison.difference == pytest.approx(differences[name].mean())
        own_width = critical_value(0.05, 5, 5, 5, own=True) * np.sqrt(variances[name] / 5)
        shared_width = critical_value(0.05, 5, 5, 5) * np.sqrt(shared / 5)
        assert comparison.half_width == pytest.approx(max(own_width, shared_width))
        assert comparison.own_noise == (own_width >= shared_width)
        assert comparison.noise**2 == pytest.approx(variances[name] if comparison.own_noise else shared)


def test_two_functions_are_the_paired_t_test():
    values = study(effects=(0.0, -0.3))
    comparison = compare(values, "f0", family=1)["f1"]
    ours, theirs = (list(values[name].values()) for name in ("f1", "f0"))
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (comparison.interval.low, comparison.interval.high) == pytest.approx((interval.low, interval.high))


def test_only_common_seeds_are_paired_and_each_function_has_its_own_number():
    values = study()
    del values["f1"][0]
    values["f1"][9] = 1000.0  # a seed that the reference has not
    result = compare(values, "f0", family=5)
    assert (result["f1"].n, result["f2"].n) == (4, 5)
    assert abs(result["f1"].difference) < 2


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_verdict(seeds):
    result = compare(study(seeds=seeds), "f0", family=5)
    verdict = result["f1"].verdict(lower_is_better=True)
    assert (verdict.word, result["f1"].interval) == (Word.NONE, None)
    assert verdict.reason.startswith(f"{seeds} paired seed")


def test_runs_without_spread_give_no_verdict():
    same = {name: dict.fromkeys(range(3), 50.0) for name in ("a", "b")} | {"c": dict.fromkeys(range(3), 50.3)}
    result = compare(same, "a", family=2)
    assert result["b"].verdict(lower_is_better=True).reason == "the runs are identical"
    assert result["c"].verdict(lower_is_better=True).reason == "no spread to judge by"


def test_a_diverged_function_gives_nothing_to_the_shared_variance():
    values = study(effects=(0.0,) * 7)
    values["f5"][0] = values["f6"][1] = 100.0
    widened = compare(values, "f0", family=6)
    steady = compare(values, "f0", family=6, unsteady=["f5", "f6"])
    assert widened["f1"].half_width > 5 * steady["f1"].half_width
    assert steady["f5"].interval.low < 0 < steady["f5"].interval.high


def test_the_best_function_beats_every_other_one_and_is_better_than_the_reference():
    values = study(sd=0.02)
    assert best(values, "f0", lower_is_better=True, family=5) == "f1"
    assert best(values, "f0", lower_is_better=False, family=5) == "f3"
    assert best(values, "f1", lower_is_better=True, family=5) == "f1"
    assert best(values, "f0", lower_is_better=True, family=6) is None  # one function has not run yet
    assert best(study(sd=2.0), "f0", lower_is_better=True, family=5) is None
    assert best({"f0": values["f0"]}, "f0", lower_is_better=True, family=0) is None


def test_best_never_contradicts_the_verdict():
    for rng_seed in range(150):
        values = study(sd=0.6, seeds=4, effects=(0.0, -1.6, 0.0, 0.0), rng_seed=rng_seed)
        winner = best(values, "f0", lower_is_better=True, family=3)
        if winner and winner != "f0":
            assert compare(values, "f0", family=3)[winner].verdict(lower_is_better=True).word == Word.BETTER


def test_each_function_has_the_level_of_its_look():
    values = study(seeds=8)
    values["f1"] = {seed: score for seed, score in values["f1"].items() if seed < 5}
    fixed = compare(values, "f0", family=5)
    looked = compare(values, "f0", family=5, level=dict.fromkeys(values, 0.05) | {"f1": 0.001})
    assert looked["f1"].half_width > 2 * fixed["f1"].half_width
    assert looked["f2"].half_width == pytest.approx(fixed["f2"].half_width)
    early = compare(values, "f0", family=5, level={"f0": 0.05, "f2": 0.05})
    assert early["f1"].verdict(lower_is_better=True).reason == "the first look is still to come"
    assert early["f2"].interval is not None


def test_a_margin_holds_for_its_score_or_for_all():
    assert Rule(margin={"": 0.3}).margin_of("map") == 0.3
    assert Rule(margin={"": 0.3, "map": 1.0}).margin_of("map") == 1.0
    assert Rule().margin_of("map") is None
