import inspect
import os
import signal
from pathlib import Path

import pytest
import stand_in_cells
from stand_in_cells import RUNNER, cell

from lpflu_bench.errors import UserError
from lpflu_bench.studies.cell import Job
from lpflu_bench.studies.executors import EXECUTORS, make_executor
from lpflu_bench.studies.executors.local import LocalExecutor
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.executors.worker_process import visible_devices, worker_environment


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(stand_in_cells.__file__).parent), prepend=os.pathsep)


def job(tmp_path, number, behaviour):
    folder = tmp_path / str(number)
    folder.mkdir(exist_ok=True)
    return Job(cell(number).hash, str(cell(number)), {"behaviour": behaviour}, str(folder), RUNNER)


def drain(executor, jobs):
    """Run jobs through an executor; return their outcomes by cell."""
    waiting, ended = list(jobs), {}
    running = 0
    while waiting or running:
        while waiting and running < executor.slots():
            executor.submit(waiting.pop(0))
            running += 1
        for done, outcome in executor.poll(1.0):
            ended[done.cell] = outcome
            running -= 1
    return ended


@pytest.fixture
def pool():
    executors = []

    def make(**settings):
        executors.append(ProcessExecutor(Path(), **settings))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()


def test_local_runs_in_this_process_and_reports_failures(tmp_path):
    executor, earlier = LocalExecutor(Path(), time_limit=0.3), signal.getsignal(signal.SIGALRM)
    behaviours = ["ok", "raise", "refuse", "hang"]
    jobs = [job(tmp_path, i, behaviour) for i, behaviour in enumerate(behaviours)]
    ok, broken, refused, hung = drain(executor, jobs).values()
    assert ok.record["pid"] == os.getpid()
    assert (broken.error, broken.final) == ("RuntimeError: broken", False)
    assert (refused.error, refused.final) == ("wrong setting", True)
    assert "time limit" in hung.error
    assert signal.getsignal(signal.SIGALRM) is earlier


def test_a_worker_lives_over_cells(tmp_path, pool):
    outcomes = drain(pool(workers=1), [job(tmp_path, i, "ok") for i in range(3)])
    assert len({outcome.record["pid"] for outcome in outcomes.values()}) == 1
    assert os.getpid() not in {outcome.record["pid"] for outcome in outcomes.values()}


def test_a_killed_worker_takes_its_own_cell_alone(tmp_path, pool):
    jobs = [job(tmp_path, i, behaviour) for i, behaviour in enumerate(["die", "ok", "raise", "ok"])]
    dead, *rest = _by_number(drain(pool(workers=2), jobs))
    assert "SIGKILL" in dead.error
    assert not dead.final
    assert [outcome.error for outcome in rest] == [None, "RuntimeError: broken", None]


def _by_number(outcomes):
    return [outcomes[key] for key in sorted(outcomes)]


def test_a_hanging_cell_is_stopped_at_the_time_limit(tmp_path, pool):
    # Long enough for the worker to start on a busy machine: the limit counts from the job's submission.
    outcomes = _by_number(drain(pool(workers=1, time_limit=8), [job(tmp_path, 0, "hang"), job(tmp_path, 1, "ok")]))
    assert "time limit of 8 s" in outcomes[0].error
    assert outcomes[1].record is not None


def test_what_a_cell_prints_goes_to_its_log(tmp_path, pool):
    folder = tmp_path / "0"
    folder.mkdir()
    show = Job("0" * 16, "x", {}, str(folder), "stand_in_cells:missing")
    outcome = drain(pool(workers=2), [show])["0" * 16]
    assert "AttributeError" in outcome.error
    assert "AttributeError" in (folder / "log.txt").read_text()


def test_the_executor_is_looked_up_by_name_and_takes_its_own_options(tmp_path):
    assert isinstance(make_executor("local", {"time_limit": 3.0}, tmp_path), LocalExecutor)
    with pytest.raises(UserError, match="unknown executor 'lokal'; the nearest is local"):
        make_executor("lokal", {}, tmp_path)
    with pytest.raises(UserError, match="--address is not an option of --executor process; it belongs to ray"):
        make_executor("process", {"address": "auto"}, tmp_path)


def test_every_option_is_a_keyword_of_its_executor():
    for executor in EXECUTORS.values():
        keywords = inspect.signature(executor).parameters
        assert {option.name for option in executor.options} == set(keywords) - {"folder"}


def test_the_seed_of_this_process_does_not_leak_into_workers(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "77")
    assert "PL_GLOBAL_SEED" not in worker_environment(0, 1, cores=4, devices=[])


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    for workers, threads in ((1, "7"), (2, "3"), (9, "1")):
        environment = worker_environment(0, workers, cores=7, devices=[])
        assert (environment["OMP_NUM_THREADS"], environment["MKL_NUM_THREADS"]) == (threads, threads)


def test_gpus_are_dealt_to_workers_in_turn(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,GPU-7")
    devices = visible_devices()
    dealt = [worker_environment(index, 4, cores=8, devices=devices)["CUDA_VISIBLE_DEVICES"] for index in range(4)]
    assert dealt == ["2", "5", "GPU-7", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []
    assert worker_environment(0, 1, cores=1, devices=[])["CUDA_VISIBLE_DEVICES"] == ""  # none stays none


def test_the_pool_gives_each_worker_its_own_gpu(tmp_path, pool, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    monkeypatch.setenv("PL_GLOBAL_SEED", "77")
    folders = [job(tmp_path, number, "environment") for number in range(2)]
    seen = [outcome.record["environment"] for outcome in drain(pool(workers=2), folders).values()]
    assert sorted(environment["CUDA_VISIBLE_DEVICES"] for environment in seen) == ["3", "4"]
    assert not any("PL_GLOBAL_SEED" in environment for environment in seen)
