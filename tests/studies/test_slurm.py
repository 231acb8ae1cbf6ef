"""Cells as Slurm jobs, on submitit's stand-ins for a cluster."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import stand_in_cells
from stand_in_cells import RUNNER, Silent, cell

from lpflu_bench.errors import UserError
from lpflu_bench.studies.cell import Job
from lpflu_bench.studies.executors import make_executor
from lpflu_bench.studies.executors.slurm import NOTE, SlurmExecutor, _Cell
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store

pytest.importorskip("submitit")
HERE = str(Path(stand_in_cells.__file__).parent)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((HERE, str(Path(HERE).parent))), prepend=os.pathsep)


@pytest.fixture
def store(tmp_path):
    with Store("s", tmp_path / "results", tmp_path / "runs") as store:
        yield store


def study_run(store, behaviours, cluster, **options):
    """Run cells with the given behaviours; return the summary and what the progress saw."""
    executor = SlurmExecutor(store.runs / "slurm", cluster=cluster, **options)
    progress = Silent()
    try:
        run = StudyRun(
            store,
            executor,
            lambda cell: {"behaviour": behaviours[int(cell.hash, 16)]},
            progress,
            runner=RUNNER,
            retries=0,
        )
        return run.run([cell(number) for number in range(len(behaviours))]), progress.states
    finally:
        executor.close()


def starts(store, number):
    path = store.run_dir(cell(number).hash) / "starts"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_submitits_debug_executor_runs_a_study(store):
    summary, _ = study_run(store, ["ok", "refuse"], "debug")
    assert [str(done) for done in summary.finished] == [str(cell(0))]
    assert list(summary.failed.values()) == ["wrong setting"]


def test_submitits_local_executor_runs_a_study_and_a_killed_cell_fails_alone(store):
    summary, _ = study_run(store, ["ok", "die"], "local")
    assert [str(done) for done in summary.finished] == [str(cell(0))]
    assert "SIGKILL" in summary.failed[cell(1)]
    assert not list(store.runs.rglob(NOTE))


def test_the_time_in_the_queue_does_not_count_against_the_limit(store, monkeypatch):
    executor = SlurmExecutor(store.runs / "slurm", cluster="debug", time_limit=60)
    folder = store.run_dir(cell(0).hash)
    folder.mkdir(parents=True)
    executor.submit(Job(cell(0).hash, "c", {"behaviour": "ok"}, str(folder), RUNNER))
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)  # an hour in the queue
    ((_, outcome),) = executor.poll(0.1)
    assert outcome.error is None


def test_a_cell_that_takes_too_long_is_stopped_on_its_node(tmp_path):
    hanging = Job(cell(0).hash, "c", {"behaviour": "hang"}, str(tmp_path), RUNNER)
    assert "time limit of 2 s" in _Cell(asdict(hanging), 2.0)()["error"]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from stand_in_cells import RUNNER, Silent, cell
from lpflu_bench.studies.executors.slurm import SlurmExecutor
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store
with Store("s", Path({results!r}), Path({runs!r})) as store:
    executor = SlurmExecutor(store.runs / "slurm", cluster="local")
    run = StudyRun(store, executor, lambda cell: {{"behaviour": "wait-for:{signal}"}}, Silent(), runner=RUNNER)
    run.run([cell(0)])
"""


def test_a_preempted_job_is_requeued_and_a_killed_runner_leaves_its_jobs_to_the_next(store, tmp_path):
    """The job is sent the signal of preemption; then the process that submitted it is killed; the next one collects."""
    places = {"results": str(tmp_path / "results"), "runs": str(tmp_path / "runs"), "signal": str(tmp_path / "go")}
    runner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SCRIPT.format(here=HERE, **places))])
    folder = store.run_dir(cell(0).hash)
    try:
        wait_for(lambda: len(starts(store, 0)) == 1 and (folder / NOTE).exists())
        controller = int((folder / NOTE).read_text())
        (task,) = _children(controller)
        os.kill(task, signal.SIGUSR2)
        wait_for(lambda: len(starts(store, 0)) == 2)  # requeued
        runner.kill()
        runner.wait()
        (tmp_path / "go").touch()
        summary, states = study_run(store, [f"wait-for:{tmp_path / 'go'}"], "local")
    finally:
        runner.kill()
        runner.wait()
    assert [str(done) for done in summary.finished] == [str(cell(0))]
    assert len(starts(store, 0)) == 2  # by the first runner's job, not by another
    assert [state for _, state in states] == ["finished"]


@pytest.mark.slow
def test_a_job_at_its_wall_time_is_requeued(store, tmp_path, monkeypatch):
    """Nobody sends the job a signal here: submitit does, some seconds before its wall time."""
    make = SlurmExecutor.__init__

    def short(self, *args, **options):
        make(self, *args, **options)
        self._executor._executor.update_parameters(timeout_min=0.5, signal_delay_s=10)

    monkeypatch.setattr(SlurmExecutor, "__init__", short)

    def release():
        wait_for(lambda: len(starts(store, 0)) >= 2)
        (tmp_path / "go").touch()

    waiting = threading.Thread(target=release, daemon=True)
    waiting.start()
    summary, _ = study_run(store, [f"wait-for:{tmp_path / 'go'}"], "local")
    assert [str(done) for done in summary.finished] == [str(cell(0))], summary.failed
    assert len(starts(store, 0)) >= 2


def _children(pid):
    return [process.pid for process in psutil.Process(pid).children()]


def test_what_is_missing_or_wrong_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("none", "sbatch"):  # srun is needed too
        (tmp_path / name).touch(0o755)
        with pytest.raises(UserError, match="there is no sbatch here"):
            make_executor("slurm", {}, tmp_path)
    for option, problem in (
        ({"slurm": [("partitoin", "gpu")]}, "--slurm partitoin=gpu: .*the nearest .* partition"),
        ({"gpus_per_cell": 0.5}, "--gpus-per-cell 0.5: Slurm gives whole GPUs"),
    ):
        with pytest.raises(UserError, match=problem):
            make_executor("slurm", {"cluster": "local", **option}, tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'lpflu-bench\[slurm\]'"):
        make_executor("slurm", {}, tmp_path)


def test_what_sbatch_is_asked_for(tmp_path, monkeypatch):
    """A stand-in for sbatch keeps the script: an array of the waiting cells, GPUs, wall time, the signal, the partition."""
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(f'#!/bin/sh\ncat "$1" > {tmp_path}/script\necho Submitted batch job 42\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    options = {"gpus_per_cell": 1.0, "workers": 2, "slurm": [("partition", "gpu"), ("time", 90)]}
    executor = make_executor("slurm", options, tmp_path / "slurm")
    for number in range(2):
        executor.submit(Job(cell(number).hash, "c", {}, str(tmp_path / str(number)), RUNNER))
    executor._submit_waiting()
    script = (tmp_path / "script").read_text()
    for line in ("--array=0-1%2", "--gpus-per-node=1", "--time=90", "--partition=gpu", "--signal=USR2@90"):
        assert f"#SBATCH {line}" in script
    notes = [tmp_path / str(number) / NOTE for number in range(2)]
    assert [note.read_text() for note in notes] == ["42_0", "42_1"]
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/cancelled\nexit 1\n')  # as for an ended job
    (tmp_path / "scancel").chmod(0o755)
    executor.close()
    assert (tmp_path / "cancelled").read_text().split() == ["42_0", "42_1"]
    assert not any(note.exists() for note in notes)
