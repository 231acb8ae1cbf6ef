import json

import pytest

from lpflu_bench.cli import main

STUDY = """
base: tasks/demo/classification.yaml
set:
  data.batch_size: 8
  data.test_batch_size: 50
  trainer.max_epochs: 1
  trainer.limit_train_batches: 2
  trainer.limit_val_batches: 1
  trainer.limit_test_batches: 2
axes:
  activation: [relu, lpflu]
metrics: top1_error
reference: relu
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)

    def command(action, *options):
        places = ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
        return main(["study", action, str(path), *places, *options])

    return command


def test_plan_run_status_and_run_again(study, tmp_path, capsys):
    assert study("plan") == 0
    assert "2 cells" in capsys.readouterr().out
    assert study("run", "--executor", "local", "--limit", "1") == 0
    assert "1 cells finished now, 1 left" in capsys.readouterr().out
    assert study("status") == 0
    assert "2 cells: 1 finished, 0 running, 0 failed, 0 interrupted, 1 pending" in capsys.readouterr().out
    assert study("run", "--executor", "local") == 0
    records = sorted((tmp_path / "results" / "small" / "records").iterdir())
    assert len(records) == 2
    before = [path.stat().st_mtime_ns for path in records]
    assert study("run", "--executor", "local") == 0
    assert "all 2 cells are finished" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in records] == before
    for path in records:
        record = json.loads(path.read_text())
        assert record["config_hash"] == path.stem
        assert record["cell"]["study"] == "small"
        assert str(tmp_path) not in json.dumps(record)  # the same on every machine
    # Other settings are other cells in the same store; the records there stay.
    assert study("status", "--seeds", "1") == 0
    said = capsys.readouterr().out
    assert "0 finished" in said
    assert "2 records" in said


def test_data_is_looked_for_before_anything_runs(study, tmp_path, capsys):
    assert study("run", "--data.root", str(tmp_path / "nowhere")) == 2
    assert "task demo-classification: there is no folder" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_errors_are_one_line(study, capsys):
    assert study("plan", "--set", "trainer.max_epohcs=2") == 2
    error = capsys.readouterr().err
    assert "max_epohcs" in error
    assert error.count("\n") == 1
