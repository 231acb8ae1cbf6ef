"""Corruption errors against the benchmark's definition, worked out by hand."""

import pytest

from lpflu_bench.reports.corruptions import MEAN, corruption_errors, corruption_section

SCORES = [{"name": "e", "direction": "lower", "label": "error", "unit": "%", "share": True, "main": True}]


def record(activation, seed, name, severity, error, status="finished"):
    conditions = {} if name is None else {"data.test_corruption": {"name": name, "severity": severity}}
    return {
        "status": status,
        "scores": SCORES,
        "trained": {
            "task": "t", "network": "n", "activation": activation, "seed": seed, "config_hash": f"{activation}{seed}"
        },
        "tested": [{"weights": "raw", "conditions": conditions, "metrics": {"e": error}}],
        "cell": {"study": "s", "activation": activation, "seed": seed, "images": f"{name}-{severity}", "noise": "on"},
    }  # fmt: skip


RECORDS = [
    record("relu", 0, None, 0, 10.0),
    record("relu", 0, "fog", 1, 20.0),
    record("relu", 0, "fog", 5, 60.0),
    record("relu", 0, "snow", 1, 50.0),
    record("lpflu", 0, None, 0, 90.0),
    record("lpflu", 0, "fog", 1, 10.0),
    record("lpflu", 0, "fog", 5, 50.0),
    record("lpflu", 0, "snow", 1, 60.0),
    record("lpflu", 1, "snow", 1, 60.0),  # the reference has no seed 1
    record("lpflu", 0, "snow", 5, 99.0),  # the reference has no severity 5
]


def test_ratio_of_sums_over_severities_and_their_mean():
    relu, lpflu = corruption_errors(RECORDS, "relu")
    assert relu == {"setting": "t, n, on", "activation": "relu", "seeds": 1, MEAN: 100.0, "fog": 100.0, "snow": 100.0}
    assert lpflu["fog"] == pytest.approx(100 * 60 / 80)
    assert lpflu["snow"] == pytest.approx(100 * 60 / 50)
    assert lpflu[MEAN] == pytest.approx((75 + 120) / 2)
    assert lpflu["seeds"] == 1


def test_paired_by_seed():
    more = [record("relu", 1, "snow", 1, 40.0)]
    lpflu = corruption_errors([*RECORDS, *more], "relu")[1]
    assert lpflu["seeds"] == 2
    assert lpflu["snow"] == pytest.approx((120 + 150) / 2)
    assert lpflu[MEAN] == pytest.approx(((75 + 120) / 2 + 150) / 2)


def test_where_higher_is_better_the_error_is_what_is_missing():
    higher = [{**one, "scores": [{**SCORES[0], "direction": "higher"}]} for one in RECORDS]
    assert corruption_errors(higher, "relu")[1]["fog"] == pytest.approx(100 * (90 + 50) / (80 + 40))


def test_only_finished_runs_and_no_section_without_corruptions():
    assert corruption_errors([record("relu", 0, "fog", 1, 20.0, status="partial")], "relu") == []
    assert corruption_errors([record("relu", 0, None, 0, 20.0)], "relu") == []
    assert corruption_section([record("relu", 0, None, 0, 20.0)], "relu") is None


def test_as_a_section():
    section = corruption_section(RECORDS, "relu")
    (table,) = section.tables
    assert table.head == ["setting", "function", "seeds", "mean", "fog", "snow"]
    assert table.lines[-1] == ["t, n, on", "lpflu", "1", "97.5", "75.0", "120.0"]
    assert section.rows[0]["fog"] == 100.0
