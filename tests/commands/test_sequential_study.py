import argparse
from pathlib import Path

import pytest
from synthetic_records import record

from lpflu_bench.commands.study.launch import _decided
from lpflu_bench.commands.study.session import Session
from lpflu_bench.records import blank
from lpflu_bench.studies.plan import FINAL, TUNE

STUDY = """
base: tasks/demo/classification.yaml
axes:
  activation: [relu, silu, gelu]
seeds: [0, 1, 2, 3, 4, 5]
metrics: top1_error
reference: relu
inference: {looks: [3, 6]}
"""
TUNED = """
tune:
  axis: {model.optimizer.lr: [0.003, 0.01]}
  seeds: [100]
  metric: top1_error
  set: {data.val_fraction: 0.2}
"""
ERRORS = {"relu": 50.0, "silu": 20.0, "gelu": 48.9}  # silu is decided at the first look, gelu is not
NOISE = {"relu": 0.1, "silu": 0.2, "gelu": -0.3}


@pytest.fixture
def session(tmp_path):
    def make(text):
        path = tmp_path / "seq.yaml"
        path.write_text(text)
        places = {"results": tmp_path / "results", "runs": tmp_path / "runs"}
        return Session(argparse.Namespace(study=str(path), set=[], only=[], seeds=None, data_root=[], **places))

    return make


def finish(session, cells):
    """Write the records that these cells would leave."""
    for cell in cells:
        name = str(cell.labels["activation"])
        made = record(name, cell.seed, ERRORS[name] + NOISE[name] * (cell.seed % 3))
        made["trained"] |= {"config_hash": cell.hash, "config": session.plan.config(cell)}
        made["cell"] = dict(cell.labels)
        _write(session, cell, made)


def fail(session, cells):
    for cell in cells:
        made = blank(
            config={}, config_hash=cell.hash, seed=cell.seed, labels=cell.labels, at="2026-01-01T00:00:00+00:00"
        )
        _write(session, cell, {**made, "status": "failed", "error": "diverged", "cell": dict(cell.labels)})


def _write(session, cell, made):
    Path(session.store.record_path(cell.hash)).parent.mkdir(parents=True, exist_ok=True)
    session.store.write(cell.hash, made)


def needed(session):
    """The runs needed now: (function, seed), and how many that tune."""
    chosen = session.needed()
    final = {(c.labels["activation"], c.seed) for c in session.cells if c.hash in chosen and c.stage == FINAL}
    return final, sum(c.hash in chosen for c in session.cells if c.stage == TUNE)


def test_the_first_look_then_only_what_is_undecided(session):
    study = session(STUDY)
    first = {(name, seed) for name in ERRORS for seed in range(3)}
    assert needed(study) == (first, 0)
    assert _decided(study) == "nothing is decided: no run of relu, the reference, has finished"
    finish(study, [cell for cell in study.cells if cell.seed < 3])
    assert needed(study) == ({(name, seed) for name in ("relu", "gelu") for seed in range(6)}, 0)
    assert "silu: better at look 1 of 2" in _decided(study)


def test_a_study_that_tunes_first_needs_its_tuning_cells_too(session):
    study = session(STUDY + TUNED)
    first = {(name, seed) for name in ERRORS for seed in range(3)}
    assert needed(study) == (first, 6)
    assert {cell.stage for cell in study.selection(study.records()).cells} == {TUNE}
    finish(study, [cell for cell in study.cells if cell.stage == TUNE])
    assert not study.reference_finished()  # a tuning run of the reference is no result
    chosen = [cell for cell in study.selection(study.records()).cells if cell.stage == FINAL]
    assert needed(study) == (first, 6)
    finish(study, [cell for cell in chosen if cell.seed < 3])
    assert needed(study) == ({(name, seed) for name in ("relu", "gelu") for seed in range(6)}, 6)


def test_a_reference_that_failed_is_said(session):
    study = session(STUDY)
    fail(study, [cell for cell in study.cells if cell.seed < 3 and cell.labels["activation"] == "relu"])
    finish(study, [cell for cell in study.cells if cell.seed < 3 and cell.labels["activation"] != "relu"])
    assert _decided(study) == "nothing is decided: no run of relu, the reference, has finished"
    assert {seed for _, seed in needed(study)[0]} == {0, 1, 2}  # no further look without the first
