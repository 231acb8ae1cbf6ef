"""The demo's summary of its cells; `.ci/run` runs the demo itself."""

import argparse

import pandas as pd
import pytest

from lpflu_bench.commands import demo, study
from lpflu_bench.commands.demo import print_summary, summarise
from lpflu_bench.commands.study.session import suggest


def cells() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": ["a", "a", "b", "b"],
            "activation": ["relu"] * 4,
            "parameters": [10, 10, 20, 20],
            "metrics.top1_error": [10.0, 14.0, None, None],
            "metrics.miou": [None, None, 40.0, 41.0],
            "images_per_second": [100.0, 200.0, 30.0, 30.0],
            "seconds": [20.0, 30.0, 5.0, 7.0],
        }
    )


def test_summary_has_the_seeds_mean_and_sd_and_one_trainings_cost():
    summary = summarise(cells()).set_index("task")
    assert summary.loc["a", ["seeds", "parameters"]].tolist() == [2, 10]
    assert summary.loc["a", "top1_error_mean"] == 12
    assert summary.loc["a", "top1_error_sd"] == pytest.approx(8**0.5)
    assert summary.loc["a", ["images_per_second", "seconds"]].tolist() == [150, 25]
    assert summary.loc["b", ["miou_mean", "seconds"]].tolist() == [40.5, 6]


def test_a_task_shows_its_own_scores(capsys):
    print_summary(summarise(cells()))
    first, second = capsys.readouterr().out.split("b: ")
    assert "12.00 ± 2.83" in first
    assert "miou" not in first
    assert "40.50 ± 0.71" in second
    assert "top1" not in second


def test_only_the_demo_itself_says_what_is_next(tmp_path, monkeypatch, capsys):
    def step(args):
        suggest(args, "study", "status", args.study)
        (tmp_path / "demo").mkdir(exist_ok=True)
        cells().to_csv(tmp_path / "demo" / "cells.csv")
        return 0

    monkeypatch.setattr(study, "run", step)
    assert demo.run(argparse.Namespace(workers=1, results=tmp_path, runs=tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("next:")] == [lines[-1]]
