import json
import subprocess
import sys

import pytest
from stand_in_cells import cell
from synthetic_records import DEPLOYED, result_of_test

from lpflu_bench.errors import UserError
from lpflu_bench.identity import config_hash
from lpflu_bench.record_files import write_record
from lpflu_bench.records import EXPORTED, FILE_NAME, blank, metrics
from lpflu_bench.studies.plan import Cell
from lpflu_bench.studies.store import Store
from lpflu_bench.studies.upkeep import find_cells, leftovers, merge, problems, remove, set_back, take_deployed


@pytest.fixture
def store(tmp_path):
    with Store("s", tmp_path / "results", tmp_path / "runs") as store:
        yield store


@pytest.fixture
def other(tmp_path):
    """Another machine's store of the same study."""
    with Store("s", tmp_path / "theirs", tmp_path / "their-runs") as store:
        yield store


def record(owner=None, status="finished", error=12.5, samples=100):
    """The record of a cell."""
    owner = owner or cell(0)
    made = blank(config={}, config_hash=owner.hash, seed=0, labels={}, at="2026-01-01T00:00:00+00:00")
    if status == "finished":
        made["tested"] = [result_of_test({"top1_error": error}, num_samples=samples)]
    return {**made, "status": status, "error": None if status == "finished" else "broken"}


def planned(seed, task="t"):
    """A cell whose hash is that of its configuration."""
    config = {"seed_everything": seed, "task": task}
    labels = {"study": "s", "task": task, "network": "n", "activation": "a", "seed": seed}
    return Cell(config_hash(config), labels, 0, seed), config


# --- deployed --------------------------------------------------------------------------------------------------------


def test_what_deploy_has_measured_in_a_run_folder_comes_into_the_studys_record(store):
    store.write(cell(0).hash, record())
    folder = store.run_dir(cell(0).hash)
    (folder / EXPORTED).mkdir(parents=True)
    own = record()
    write_record(own, folder / FILE_NAME)
    assert take_deployed(store, [cell(0), cell(1)]) == []
    write_record({**own, "deployed": DEPLOYED}, folder / FILE_NAME)
    assert take_deployed(store, [cell(0)]) == [cell(0)]
    assert store.record(cell(0).hash) == {**record(), "deployed": DEPLOYED}
    assert take_deployed(store, [cell(0)]) == []
    other = {**own, "trained": {**own["trained"], "started_at": "another time"}, "deployed": {**DEPLOYED, "load": 2.0}}
    write_record(other, folder / FILE_NAME)
    assert take_deployed(store, [cell(0)]) == []  # of another training than the record's


# --- finding and setting back ----------------------------------------------------------------------------------------


def test_a_cell_is_found_by_hash_digits_or_name():
    cells = [Cell("abcd" + "0" * 12, {"task": "t", "seed": 0}, 0, 0), Cell("abce" + "0" * 12, {"task": "u"}, 0, 1)]
    assert find_cells(cells, ["abcd", "u seed 1", "abce" + "0" * 12]) == cells
    with pytest.raises(UserError, match="no cell 't seed 3'; the nearest"):
        find_cells(cells, ["t seed 3"])
    with pytest.raises(UserError, match="no cell 'abc'"):  # too few digits
        find_cells(cells, ["abc"])
    twins = [Cell(f"abcd{number:012}", {"task": "t"}, 0, number) for number in range(2)]
    with pytest.raises(UserError, match="'abcd' are 2 cells"):
        find_cells(twins, ["abcd"])


def test_setting_a_cell_back_loses_nothing(store):
    done = cell(1)
    for attempt in (1, 2):
        store.write(done.hash, record(done))
        (store.record_path(done.hash).with_suffix(".npz")).write_text("outcomes")
        store.start_attempt(done.hash)
        set_back(store, done)
        assert store.record(done.hash) is None
        assert store.started() == set()
        kept = store.runs / "replaced" / f"{done.hash}-{attempt}"
        assert {path.name for path in kept.iterdir()} == {f"{done.hash}.json", f"{done.hash}.npz", done.hash}
    assert store.locks.running() == {}


def test_a_running_cell_is_not_set_back(store, tmp_path):
    store.write(cell(1).hash, record(cell(1)))
    with Store("s", tmp_path / "results", tmp_path / "runs") as runner:
        runner.locks.claim(cell(1).hash)
        with pytest.raises(UserError, match=r"is being run by process \d+ on"):
            set_back(store, cell(1))
    assert store.record(cell(1).hash)


# --- leftovers -------------------------------------------------------------------------------------------------------


def test_what_can_go_and_what_stays(store, tmp_path):
    for number, status in enumerate(["finished", "failed"]):
        store.write(cell(number).hash, record(cell(number), status))
        for name in ("checkpoints/last.ckpt", "checkpoints/.last.ckpt.x.part", "log.txt"):
            path = store.run_dir(cell(number).hash) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(10))
    store.start_attempt(cell(7).hash)  # of no cell of the plan
    code = (
        "import os, sys; from pathlib import Path; from lpflu_bench.studies.locks import Locks\n"
        "assert Locks(Path(sys.argv[1])).claim('f' * 16); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(store.runs / "locks")]).returncode == 9
    runner = Store("s", tmp_path / "results", tmp_path / "runs")
    runner.start_attempt(cell(8).hash)
    runner.locks.claim(cell(8).hash)
    cells = [cell(0), cell(1)]
    few = leftovers(store, cells, checkpoints=False)
    assert [leftover.path.name for leftover in few[:3]] == [".last.ckpt.x.part", ".last.ckpt.x.part", cell(7).hash]
    assert [leftover.kind for leftover in few[3:]] == ["lock of a dead process"] * 2
    assert list(problems(store, [], [])) == []  # no record is wrong because of a lock
    more = [leftover for leftover in leftovers(store, cells, checkpoints=True) if leftover not in few]
    assert [leftover.path for leftover in more] == [store.run_dir(cell(0).hash) / "checkpoints" / "last.ckpt"]
    assert all(remove(store, leftover) for leftover in [*few, *more])
    assert leftovers(store, cells, checkpoints=True) == []
    assert (store.run_dir(cell(1).hash) / "checkpoints" / "last.ckpt").exists()  # it can be resumed
    assert store.run_dir(cell(8).hash).exists()  # it is being run
    assert len(store.records()) == 2
    runner.close()


# --- merging ---------------------------------------------------------------------------------------------------------


def test_merge_takes_what_is_missing_or_finished_there_alone(store, other, tmp_path):
    for number, ours, theirs in ((0, None, "finished"), (1, "failed", "finished"), (2, "finished", "failed")):
        if ours:
            store.write(cell(number).hash, record(cell(number), ours))
        other.write(cell(number).hash, record(cell(number), theirs))
    other.record_path(cell(0).hash).with_suffix(".npz").write_text("outcomes")
    merged = merge(store, tmp_path / "theirs" / "s")
    assert ([path.stem for path in merged.taken], merged.same) == ([cell(0).hash, cell(1).hash], 1)
    assert {record["status"] for record in store.records().values()} == {"finished"}
    assert store.record_path(cell(0).hash).with_suffix(".npz").read_text() == "outcomes"
    again = merge(store, tmp_path / "theirs")  # the folder of all studies
    assert (again.taken, again.same, again.conflicts) == ([], 3, [])


def test_merge_names_what_contradicts_or_cannot_be_read_and_keeps_ours(store, other, tmp_path):
    store.write(cell(0).hash, record(cell(0), error=12.5))
    other.write(cell(0).hash, record(cell(0), error=12.6))
    other.write(cell(1).hash, record(cell(1)))
    other.record_path(cell(2).hash).write_text("{")
    other.write(cell(3).hash, record(cell(3)))
    runner = Store("s", tmp_path / "results", tmp_path / "runs")
    runner.locks.claim(cell(3).hash)
    merged = merge(store, tmp_path / "theirs" / "s")
    contradiction, busy = merged.conflicts
    assert "two finished runs with different scores" in contradiction
    assert str(other.record_path(cell(0).hash)) in contradiction
    assert "this cell is being run here" in busy
    assert len(merged.unreadable) == 1
    assert metrics(store.record(cell(0).hash)) == {"top1_error": 12.5}
    assert [path.stem for path in merged.taken] == [cell(1).hash]
    runner.close()


def test_merge_of_a_folder_that_is_none(store, tmp_path):
    store.write(cell(0).hash, record(cell(0)))
    with pytest.raises(UserError, match="has no records of a study"):
        merge(store, tmp_path / "nowhere")
    with pytest.raises(UserError, match="is this study's own folder"):
        merge(store, tmp_path / "results")


# --- verifying -------------------------------------------------------------------------------------------------------


def test_verify_finds_nothing_in_good_records(store):
    cells = []
    for seed in range(3):
        one, _ = planned(seed)
        cells.append(one)
        store.write(one.hash, record(one))
    assert list(problems(store, [*cells, cell(1)], ["top1_error"])) == []


def test_verify_says_what_is_wrong(store, tmp_path):
    cells, _ = zip(*(planned(seed) for seed in range(5)), strict=True)
    store.write(cells[0].hash, record(cells[0]))
    store.write(cells[1].hash, record(cells[0]))  # a copied file
    store.write(cells[2].hash, record(cells[2], samples=7))
    store.write(cells[3].hash, {**record(cells[3]), "tested": [result_of_test({"other": 1.0}, num_samples=100)]})
    store.record_path(cells[4].hash).write_text(json.dumps([]))
    found = list(problems(store, cells, ["top1_error"]))
    for number, problem in ((1, "is the record of another run"), (3, "without any of the study's scores")):
        assert any(str(store.record_path(cells[number].hash)) in line and problem in line for line in found)
    assert any("not all runs were tested on as many samples: 100 in 2 runs, 7 in 1 runs" in line for line in found)
    assert any(str(store.record_path(cells[4].hash)) in line for line in found)
    assert len(found) == 4
