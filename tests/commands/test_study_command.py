import json

import pytest

from lpflu_bench.cli import main
from lpflu_bench.outcomes import load_outcomes

STUDY = """
base: tasks/demo/classification.yaml
set:
  data.batch_size: 8
  data.test_batch_size: 500
  trainer.max_epochs: 1
  trainer.limit_train_batches: 2
  trainer.limit_val_batches: 1
axes:
  activation: [relu, lpflu]
test:
  noise:
    clean: {}
    gaussian: {data.test_noise: {kind: gaussian, strength: 0.1}}
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
    said = capsys.readouterr().out
    assert "2 cells: 1 finished, 1 pending" in said
    assert f"next: lpflu-bench study run {tmp_path / 'small.yaml'}" in said
    assert study("run", "--executor", "local") == 0
    records = sorted((tmp_path / "results" / "small" / "records").glob("*.json"))
    assert len(records) == 2
    before = [path.stat().st_mtime_ns for path in records]
    assert study("run", "--executor", "local") == 0
    assert "all 2 cells are finished" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in records] == before
    for path in records:
        record = json.loads(path.read_text())
        assert record["trained"]["config_hash"] == path.stem
        assert record["cell"]["study"] == "small"
        assert str(tmp_path) not in json.dumps(record)  # the same on every machine
        assert [test["conditions"] for test in record["tested"]] == [
            {},
            {"data.test_noise": {"kind": "gaussian", "strength": 0.1}},
        ]
        assert {load_outcomes(path, test).num_images for test in record["tested"]} == {1000}
    # One more condition of test: what was trained is tested once more, and not trained again.
    text = STUDY.replace("clean: {}", "clean: {}\n    impulse: {data.test_noise: {kind: impulse, strength: 0.1}}")
    (tmp_path / "small.yaml").write_text(text)
    trained = {path: json.loads(path.read_text())["trained"] for path in records}
    assert study("status") == 0
    assert "2 cells: 0 finished, 2 fitted" in capsys.readouterr().out
    assert study("run", "--executor", "local") == 0
    assert "2 cells finished now, 0 left" in capsys.readouterr().out
    for path in records:
        record = json.loads(path.read_text())
        assert record["trained"] == trained[path]
        assert len(record["tested"]) == 3
    (tmp_path / "small.yaml").write_text(STUDY)  # and one less changes nothing
    assert study("status") == 0
    assert "2 cells: 2 finished" in capsys.readouterr().out
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
