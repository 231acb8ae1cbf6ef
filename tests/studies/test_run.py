import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import stand_in_cells
from stand_in_cells import RUNNER, Silent, cell
from synthetic_records import record

from lpflu_bench.errors import UserError
from lpflu_bench.studies.executors.local import LocalExecutor
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.machine import data_roots, for_this_machine
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store

HERE = str(Path(stand_in_cells.__file__).parent)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((HERE, str(Path(HERE).parent))), prepend=os.pathsep)


@pytest.fixture
def store(tmp_path):
    with Store("s", tmp_path / "results", tmp_path / "runs") as store:
        yield store


def study_run(store, behaviours, executor=None, **settings):
    """Run cells with the given behaviours; return the summary and what the progress saw."""
    progress = Silent()
    run = StudyRun(
        store,
        executor or LocalExecutor(Path()),
        lambda cell: {"behaviour": behaviours[int(cell.hash, 16)]},
        progress,
        runner=RUNNER,
        **settings,
    )
    return run.run([cell(number) for number in range(len(behaviours))]), progress.states


def statuses(store):
    return {int(name, 16): kept["status"] for name, kept in store.records().items()}


def starts(store, number):
    return len((store.run_dir(cell(number).hash) / "starts").read_text().splitlines())


def test_finished_never_again_failed_again_next_time(store):
    summary, _ = study_run(store, ["ok", "refuse", "ok"])
    assert statuses(store) == {0: "finished", 1: "failed", 2: "finished"}
    assert len(summary.finished) == 2
    assert list(summary.failed.values()) == ["wrong setting"]
    assert store.record(cell(1).hash)["error"] == "wrong setting"
    summary, _ = study_run(store, ["ok", "ok", "ok"])
    assert [str(c) for c in summary.finished] == [str(cell(1))]
    assert [starts(store, number) for number in range(3)] == [1, 2, 1]
    kept = store.record(cell(1).hash)
    assert [a["outcome"] for a in kept["attempts"]] == ["failed", "finished"]  # its error is kept
    assert kept["attempts"][0]["error"] == "wrong setting"
    assert kept["cell"] == dict(cell(1).labels)


def test_what_would_fail_again_is_not_retried_and_accidents_are(store):
    summary, states = study_run(store, ["refuse", "raise"], retries=2)
    assert [starts(store, number) for number in range(2)] == [1, 3]
    assert [state for name, state in states if name == "a1"] == ["retry", "retry", "failed"]
    assert len(summary.failed) == 2


def test_a_crash_is_retried_and_the_others_go_on(store):
    executor = ProcessExecutor(Path(), workers=2)
    try:
        study_run(store, ["die-once", "ok", "die", "ok"], executor, retries=1)
    finally:
        executor.close()
    assert statuses(store) == {0: "finished", 1: "finished", 2: "failed", 3: "finished"}
    assert [starts(store, number) for number in range(4)] == [2, 1, 2, 1]
    assert "SIGKILL" in store.record(cell(2).hash)["error"]


def test_fail_fast_stops_everything(store):
    summary, _ = study_run(store, ["ok", "refuse", "ok"], fail_fast=True)
    assert statuses(store) == {0: "finished", 1: "failed"}
    assert summary.left == 1


def test_limit_counts_cells_not_attempts(store):
    summary, _ = study_run(store, ["raise", "ok", "ok"], limit=2, retries=1)
    assert statuses(store) == {0: "failed", 1: "finished"}
    assert summary.left == 1


def test_a_record_of_another_configuration_is_refused(store):
    run = StudyRun(store, LocalExecutor(Path()), lambda cell: {}, Silent(), runner="test_run:other_record")
    summary = run.run([cell(0)])
    assert "the plan's 0000000000000000" in next(iter(summary.failed.values()))


def other_record(job):
    made = record("relu", 0, 1.0)
    made["trained"]["config_hash"] = "feedfeedfeedfeed"
    return made


def test_a_cell_of_another_process_is_left_to_it(store, tmp_path):
    other = Store("s", tmp_path / "results", tmp_path / "runs")
    assert other.locks.claim(cell(1).hash)
    summary, _ = study_run(store, ["ok", "ok"])
    assert statuses(store) == {0: "finished"}
    assert list(summary.claimed_elsewhere) == [cell(1)]
    assert summary.claimed_elsewhere[cell(1)].pid == os.getpid()


def test_a_cell_held_elsewhere_is_tried_again_before_the_run_ends(store, tmp_path):
    other = Store("s", tmp_path / "results", tmp_path / "runs")
    for number in (0, 2):
        assert other.locks.claim(cell(number).hash)

    class Release(Silent):
        def started(self, started):
            if started == cell(1):
                other.locks.release(cell(2).hash)  # without a record: it was interrupted there

    progress = Release()
    run = StudyRun(store, LocalExecutor(Path()), lambda cell: {"behaviour": "ok"}, progress, runner=RUNNER)
    summary = run.run([cell(number) for number in range(3)])
    assert statuses(store) == {1: "finished", 2: "finished"}
    assert list(summary.claimed_elsewhere) == [cell(0)]


def test_a_full_disks_advice_is_given_once(store):
    with pytest.raises(UserError, match="No space left on device; free some space") as caught:
        study_run(store, ["full-advice"])
    assert str(caught.value).count("; ") == 1


def test_a_full_disk_stops_the_run_and_fails_no_cell(store):
    with pytest.raises(
        UserError, match=r"because of the disk: OSError: .*No space left on device.*run the same command again"
    ):
        study_run(store, ["ok", "full", "ok"])
    assert statuses(store) == {0: "finished"}
    assert [attempt["outcome"] for attempt in store.attempts(cell(1).hash)] == ["interrupted"]
    assert not (store.run_dir(cell(2).hash)).exists()
    assert store.locks.running() == {}
    study_run(store, ["ok", "ok", "ok"])
    assert statuses(store) == {0: "finished", 1: "finished", 2: "finished"}


def test_the_disk_is_looked_at_before_each_cell(store):
    def full():
        if statuses(store):
            raise UserError("no room")

    with pytest.raises(UserError, match="no room"):
        study_run(store, ["ok", "ok"], before_start=full)
    assert statuses(store) == {0: "finished"}


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from stand_in_cells import RUNNER, Silent, cell
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.machine import terminate_as_interrupt
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store
with Store("s", Path({results!r}), Path({runs!r})) as store, terminate_as_interrupt():
    executor = ProcessExecutor(Path(), workers=1)
    run = StudyRun(store, executor, lambda cell: {{"behaviour": {behaviour!r}}}, Silent(), runner=RUNNER)
    summary = run.run([cell(number) for number in range({count})])
    print(summary.interrupted, len(summary.finished), flush=True)
    executor.close()
"""


def script(store, behaviour, count):
    return [
        sys.executable,
        "-c",
        textwrap.dedent(
            SCRIPT.format(
                here=HERE,
                results=str(store.results.parent),
                runs=str(store.runs.parent),
                behaviour=behaviour,
                count=count,
            )
        ),
    ]


def test_two_runs_on_one_folder_never_run_a_cell_twice(store):
    processes = [subprocess.Popen(script(store, "sleep:0.05", 12), stdout=subprocess.PIPE) for _ in range(2)]
    finished = [int(process.communicate(timeout=120)[0].split()[1]) for process in processes]
    assert sum(finished) == 12
    assert [starts(store, number) for number in range(12)] == [1] * 12


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_cleanly(store, sent):
    process = subprocess.Popen(script(store, "hang", 2), stdout=subprocess.PIPE, preexec_fn=_interruptible)
    worker = _first_start(store)
    process.send_signal(sent)
    assert process.communicate(timeout=60)[0].split()[0] == b"True"
    assert _gone(worker)
    assert store.locks.running() == {}
    assert [a["outcome"] for a in store.attempts(cell(0).hash)] == ["interrupted"]


def test_a_killed_run_leaves_no_worker_and_the_next_one_notes_it(store):
    process = subprocess.Popen(script(store, "hang-once", 1))
    worker = _first_start(store)
    process.kill()
    process.wait()
    assert _gone(worker)
    study_run(store, ["ok"])
    kept = store.record(cell(0).hash)
    assert [a["outcome"] for a in kept["attempts"]] == ["interrupted", "finished"]


def _interruptible():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell lets its background jobs ignore it, the tests may be one


def _first_start(store):
    path = store.run_dir(cell(0).hash) / "starts"
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def _gone(pid):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_data_roots_by_task():
    assert data_roots(["/d"], ["a"]) == {"a": "/d"}
    assert data_roots(["b=/e", "a=/d"], ["a", "b"]) == {"a": "/d", "b": "/e"}
    assert data_roots(["embedded"], ["a", "b"]) == {"a": "embedded", "b": "embedded"}
    with pytest.raises(UserError, match="TASK=DIR"):
        data_roots(["/d"], ["a", "b"])
    config = {"task": "a", "data": {"init_args": {"root": "data"}}}
    assert for_this_machine(config, {"a": "/d"})["data"]["init_args"]["root"] == "/d"
    assert for_this_machine(config, {})["data"]["init_args"]["root"] == str(Path("data").absolute())
    assert json.dumps(config)  # untouched
    assert config["data"]["init_args"]["root"] == "data"
