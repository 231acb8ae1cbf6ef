"""What of a cell is done again when its folder is found."""

import json

import numpy as np
import pytest
from synthetic_records import record, result_of_test

from lpflu_bench.outcomes import ClassificationOutcomes, outcomes_path, save_outcomes
from lpflu_bench.record_files import write_record
from lpflu_bench.studies.cell import Job, PlannedTest, train_and_test

NOISY = {"data.test_noise": {"kind": "gaussian", "strength": 0.1}}


@pytest.fixture
def folder(tmp_path):
    """A trained run, tested on clean and on noisy images."""
    path, tests = tmp_path / "record.json", []
    for conditions in ({}, NOISY):
        outcomes = ClassificationOutcomes({"top1": np.ones(16, dtype=bool)})
        saved = save_outcomes(outcomes, path, "raw", conditions, keep=tests)
        tests.append(result_of_test({"top1_error": 0.0}, conditions=conditions, outcomes=saved))
    write_record({**record("relu", 0, 0.0), "tested": tests}, path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    return tmp_path


def conditions_tested(folder, monkeypatch):
    """Return the conditions of the tests that a cell still does."""
    done = []
    monkeypatch.setattr("lpflu_bench.training.trained_config.trained_config", lambda checkpoint: {})
    monkeypatch.setattr("lpflu_bench.training.lightning_cli.run", done.append)
    planned = (PlannedTest(), PlannedTest(settings=NOISY, conditions=NOISY))
    train_and_test(Job("0" * 16, "cell", {}, str(folder), tests=planned))
    assert all(arguments[0] == "test" for arguments in done)
    return [json.loads(a.partition("=")[2]) if "=" in a else {} for a in (arguments[-1] for arguments in done)]


def test_what_was_tested_is_not_tested_again(folder, monkeypatch):
    assert conditions_tested(folder, monkeypatch) == []


def test_a_test_without_its_outcomes_is_done_again(folder, monkeypatch):
    path = outcomes_path(folder / "record.json")
    with np.load(path) as file:
        arrays = dict(file)
    clean = next(iter(arrays)).partition(".")[0]
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if not name.startswith(clean)})
    assert conditions_tested(folder, monkeypatch) == [{}]
    path.unlink()
    assert conditions_tested(folder, monkeypatch) == [{}, *NOISY.values()]
