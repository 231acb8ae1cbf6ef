import errno
import os
from collections import namedtuple

import pytest
from synthetic_records import record

from lpflu_bench.errors import UserError
from lpflu_bench.studies import disk
from lpflu_bench.studies.cell import Job, run_job
from lpflu_bench.studies.declared import declare
from lpflu_bench.studies.disk import check_disk, is_disk_error
from lpflu_bench.studies.executors.worker import _run_into_log
from lpflu_bench.studies.store import Store
from lpflu_bench.studies.study_file import find_study, load_study

CELL = "0123456789abcdef"


def free(monkeypatch, size):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage(size, 0, size))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_there_is_room(tmp_path, monkeypatch):
    free(monkeypatch, disk.MINIMUM_BYTES)
    check_disk(tmp_path / "runs", tmp_path / "results", 4)
    assert [list(path.iterdir()) for path in tmp_path.iterdir()] == [[], []]


def test_a_folder_that_cannot_be_written_to_is_named_with_its_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write --runs .*file.*: Not a directory"):
        check_disk(tmp_path / "file" / "s", tmp_path, 1)
    with pytest.raises(UserError, match=r"cannot write --results .*file.*: "):
        check_disk(tmp_path / "runs", tmp_path / "file" / "s", 1)


def test_a_study_that_cannot_be_declared_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("lpflu_bench.studies.declared.write_text_atomically", full)
    with pytest.raises(UserError, match=r"cannot write --results .*: No space left on device; make room"):
        declare(load_study(find_study("demo")), tmp_path)


def test_the_checkpoints_of_parallel_runs_have_to_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "MINIMUM_BYTES", 1000)
    free(monkeypatch, 3000)
    checkpoint = tmp_path / "cells" / CELL / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(bytes(500))
    check_disk(tmp_path, tmp_path, 3)
    with pytest.raises(UserError, match="with 4 at a time"):
        check_disk(tmp_path, tmp_path, 4)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EROFS, "x"), True),
        (FileNotFoundError(errno.ENOENT, "x"), False),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), True),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_what_is_the_disks_fault(tmp_path, monkeypatch, error, is_one):
    free(monkeypatch, 1000)
    assert is_disk_error(error, tmp_path) == is_one
    outer = UserError("cannot write the record")
    outer.__cause__ = error
    assert is_disk_error(outer, tmp_path) == (is_one and isinstance(error, OSError))
    free(monkeypatch, 10**9)
    assert is_disk_error(error, tmp_path) == (is_one and isinstance(error, OSError))


def test_a_job_says_that_it_was_the_disk(tmp_path):
    outcome = run_job(Job(CELL, "c", {}, str(tmp_path), "test_disk:full"))
    assert outcome.disk
    assert not outcome.final


def test_a_run_folder_that_cannot_be_made_is_an_outcome(tmp_path):
    (tmp_path / "file").touch()
    outcome = _run_into_log(Job(CELL, "c", {}, str(tmp_path / "file" / "run"), "test_disk:full"))
    assert "Not a directory" in outcome.error


def test_a_full_disk_can_still_be_looked_at(tmp_path, monkeypatch):
    store = Store("s", tmp_path / "results", tmp_path / "runs")
    finished = record("relu", 0, 30.0)
    finished["trained"]["config_hash"] = CELL
    store.write(CELL, finished)
    for writer in ("write_text_atomically", "replaced_atomically"):
        monkeypatch.setattr(f"lpflu_bench.studies.store.{writer}", full)
    assert store.records()[CELL]["status"] == "finished"
    assert store.locks.running() == {}
    with pytest.raises(UserError, match=r"attempts.json: No space left on device; make room"):
        store.start_attempt(CELL)


def leave(job):
    raise SystemExit(1)


def test_a_run_that_exits_leaves_its_trace(tmp_path, capsys):
    assert run_job(Job(CELL, "c", {}, str(tmp_path), "test_disk:leave")).error == "the run exited with status 1"
    assert "in leave" in capsys.readouterr().err
