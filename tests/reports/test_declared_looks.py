import numpy as np
import pytest
from synthetic_records import grid, spec

from lpflu_bench.inference.comparison import compare
from lpflu_bench.inference.design import predictive_power
from lpflu_bench.inference.rule import Rule
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.power import pilot_noise, power_lines
from lpflu_bench.reports.sequential import progress, wanted_seeds

NAMES = ["relu", "mish", "gish", "smu"]
EFFECTS = {"relu": 0.0, "mish": -2.0, "gish": 0.35, "smu": 0.0}


def study(ended, rule=None, sd=0.25):
    """A sequential study in which each function has so many seeds."""
    rule = rule or Rule(looks=(5, 8, 12), margin={"": 0.1})
    planned = tuple({"task": "cifar100", "activation": name, "seed": seed} for name in NAMES for seed in range(12))
    records = grid(12, sd, functions=NAMES, effects=EFFECTS)
    kept = [record for record in records if record["trained"]["seed"] < ended.get(record["trained"]["activation"], 0)]
    return analyse(spec(reference="relu", planned=planned, rule=rule, metrics=("top1_error",)), kept)


def looks(analysis):
    return {item.activation: (item.look, len(item.wanted)) for item in progress(analysis)}


def test_every_function_first_gets_the_first_look_and_the_reference_with_it():
    analysis = study({})
    assert looks(analysis) == {"mish": (0, 5), "gish": (0, 5), "smu": (0, 5)}
    assert {len(seeds) for seeds in wanted_seeds(analysis).values()} == {5}
    assert {name for _, name in wanted_seeds(analysis)} == set(NAMES)


def test_decided_functions_stop_and_undecided_ones_go_on_to_the_next_look():
    analysis = study(dict.fromkeys(NAMES, 5))
    found = looks(analysis)
    assert found["mish"] == (1, 0)
    assert found["gish"] == (1, 8)
    assert next(item.state for item in progress(analysis) if item.activation == "mish") == "better at look 1 of 3"
    wanted = {name: len(seeds) for (_, name), seeds in wanted_seeds(analysis).items()}
    assert (wanted["relu"], wanted["mish"]) == (8, 0)
    later = study({"relu": 8, "mish": 5, "gish": 8, "smu": 8})
    assert looks(later)["mish"] == (1, 0)  # a verdict holds although the others went on
    assert next(row for row in later.columns[0].rows if row.activation == "mish").verdict.word == "better"


def test_nobody_goes_beyond_the_last_look():
    assert all(count == 0 for _, count in looks(study(dict.fromkeys(NAMES, 12), Rule(looks=(5, 8, 12)))).values())


def test_a_function_without_a_difference_stops_as_equivalent_or_as_futile():
    wide = study(dict.fromkeys(NAMES, 5), Rule(looks=(5, 8, 12), margin={"": 1.5}))
    assert next(item.state for item in progress(wide) if item.activation == "smu").startswith("equivalent at look 1")
    narrow = study(dict.fromkeys(NAMES, 8), Rule(looks=(5, 8, 12), margin={"": 0.01}))
    assert any("futile" in item.state for item in progress(narrow) if item.activation == "smu")


def test_predictive_power_is_the_share_of_continued_studies_that_decide():
    rng = np.random.default_rng(0)
    first = {"a": dict(enumerate(rng.normal(0, 1, 5))), "b": dict(enumerate(rng.normal(0.9, 1, 5)))}
    comparison = compare(first, "a", family=1)["b"]
    from lpflu_bench.inference.critical import critical_value

    n, level, margin = 12, 0.04, 2.0
    width = critical_value(level, 1, 1, n) * comparison.noise / np.sqrt(n)
    final = comparison.difference + rng.normal(0, comparison.noise * np.sqrt(1 / 5 - 1 / n), 200_000)
    for given, decided in (
        (None, np.abs(final) > width),
        (margin, (np.abs(final) > width) | (np.abs(final) + width < margin)),
    ):
        assert predictive_power(comparison, n, 1, level, given) == pytest.approx(decided.mean(), abs=0.005)


def test_power_in_words_counts_the_family_and_the_margin():
    lines = power_lines(Rule(), 3, 5, 0.4, 0.3)
    assert lines[0].startswith("3 seeds decide a true difference of ")
    assert "5 comparisons" in lines[0]
    assert lines[2].startswith("margin ±0.3: ")
    few, many = (power_lines(Rule(), 3, family, 0.4, 0.3)[2].split()[2] for family in (1, 10))
    assert int(few) < int(many)
    assert "could show equivalence" in power_lines(Rule(), 3, 5, 0.4, None)[2]


def test_pilot_noise_is_that_of_the_intervals():
    analysis = study(dict.fromkeys(NAMES, 12), Rule())
    (value, name, label) = pilot_noise(analysis)["cifar100"]
    rows = [row for row in analysis.columns[0].rows if row.comparison]
    assert value == pytest.approx(np.mean([row.comparison.noise for row in rows]))
    assert (name, label) == ("top1_error", "top-1 error")
