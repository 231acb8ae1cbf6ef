import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lpflu_bench.studies import store as store_module
from lpflu_bench.studies.store import Store

CELL = "0123456789abcdef"


@pytest.fixture
def stores(tmp_path):
    """Two of one study, as two processes have them."""
    return [Store("s", tmp_path / "results", tmp_path / "runs") for _ in range(2)]


def test_one_of_many_gets_a_cell(tmp_path):
    stores = [Store("s", tmp_path / "results", tmp_path / "runs") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda store: store.claim(CELL), stores))
    assert sum(got) == 1


def test_released_locks_are_free(stores):
    one, two = stores
    assert one.claim(CELL)
    assert not two.claim(CELL)
    assert two.running()[CELL].pid == os.getpid()
    one.release(CELL)
    assert two.running() == {}
    assert two.claim(CELL)
    two.close()
    assert one.claim(CELL)


def test_a_dead_process_lock_is_taken_over_at_once(stores, tmp_path):
    code = (
        "import sys; from pathlib import Path; from lpflu_bench.studies.store import Store; import os\n"
        f"s = Store('s', Path({str(tmp_path / 'results')!r}), Path({str(tmp_path / 'runs')!r}))\n"
        f"assert s.claim({CELL!r}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert stores[0].running() == {}
    assert stores[0].claim(CELL)


def test_a_lock_without_heartbeat_is_taken_over_and_its_owner_notices(stores, tmp_path, monkeypatch):
    one, two = stores
    assert one.claim(CELL)
    path = tmp_path / "runs" / "s" / "locks" / CELL
    owner = json.loads(path.read_text())
    path.write_text(json.dumps({**owner, "host": "elsewhere"}))  # not a process that can be looked at from here
    assert not two.claim(CELL)
    old = time.time() - store_module.STALE_SECONDS - 1
    os.utime(path, (old, old))
    assert two.claim(CELL)
    assert not one.holds(CELL)
    one.release(CELL)
    assert two.holds(CELL)


def test_the_heart_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "HEARTBEAT_SECONDS", 0.05)
    with Store("s", tmp_path / "results", tmp_path / "runs") as store:
        store.claim(CELL)
        path = tmp_path / "runs" / "s" / "locks" / CELL
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 20
        while path.stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime > 2
    assert not path.exists()


def test_records_are_found_by_cell_and_other_files_left_alone(stores):
    store = stores[0]
    assert store.records() == {}
    store.write(CELL, {"schema": 1, "status": "finished"})
    (store.results / "records" / "notes.json").write_text("no record")
    (store.results / "records" / f".{CELL}.json.part").write_text("{")
    assert store.records() == {CELL: {"schema": 1, "status": "finished"}}
    assert store.record("f" * 16) is None


def test_summaries_follow_the_records(stores):
    store = stores[0]
    assert store.summaries() == {}
    record = {"schema": 1, "status": "failed", "error": "e", "config": {}, "curve": [{"epoch": 1}, {"epoch": 2}]}
    for _ in range(2):  # read, then from what was kept
        store.write(CELL, record)
        assert store.summaries() == {
            CELL: {"schema": 1, "status": "failed", "error": "e", "curve": [{"epoch": 2}]},
        }
        assert store.summaries() == stores[1].summaries()
    store.write(CELL, {**record, "status": "finished"})
    assert store.summaries()[CELL]["status"] == "finished"
    store.record_path(CELL).unlink()
    assert store.summaries() == {}


def test_attempts_tell_the_whole_story(stores):
    store = stores[0]
    store.start_attempt(CELL)
    store.start_attempt(CELL)  # the process of the first one died
    store.end_attempt(CELL, "failed", "broken")
    store.start_attempt(CELL)
    attempts = store.end_attempt(CELL, "finished")
    assert [(a["outcome"], a["error"]) for a in attempts] == [
        ("interrupted", None),
        ("failed", "broken"),
        ("finished", None),
    ]


def test_attempts_of_another_machine_come_with_the_record(stores):
    store = stores[0]
    store.write(CELL, {"schema": 1, "status": "failed", "attempts": [{"outcome": "failed", "error": "there"}]})
    assert [a["outcome"] for a in store.start_attempt(CELL)] == ["failed", "running"]
