import json
import math

import pytest
from synthetic_records import record

from lpflu_bench.errors import UserError
from lpflu_bench.studies.store import Store

CELL = "0123456789abcdef"


def made(**changes):
    """A finished record of the cell."""
    return {
        **record("relu", 0, 30.0),
        **changes,
        "trained": {**record("relu", 0, 30.0)["trained"], "config_hash": CELL},
    }


@pytest.fixture
def stores(tmp_path):
    """Two of one study, as two processes have them."""
    return [Store("s", tmp_path / "results", tmp_path / "runs") for _ in range(2)]


def test_records_are_found_by_cell_and_other_files_left_alone(stores):
    store = stores[0]
    assert store.records() == {}
    store.write(CELL, made())
    (store.results / "records" / "notes.json").write_text("no record")
    (store.results / "records" / f".{CELL}.json.part").write_text("{")
    assert [(cell, record["status"]) for cell, record in store.records().items()] == [(CELL, "finished")]
    assert store.record("f" * 16) is None


def test_what_is_kept_of_the_records_follows_them(stores):
    store = stores[0]
    assert store.records() == {}
    for _ in range(2):  # read, then from what was kept
        store.write(CELL, made(status="failed", error="e"))
        (brief,) = store.records().values()
        assert (brief["status"], brief["error"]) == ("failed", "e")
        assert [point["epoch"] for point in brief["trained"]["curve"]] == [12]
        assert store.records() == stores[1].records()
    store.write(CELL, made())
    assert store.records()[CELL]["status"] == "finished"
    store.record_path(CELL).unlink()
    assert store.records() == {}


def test_what_is_not_a_number_is_not_lost_in_what_is_kept(stores):
    record = made()
    record["trained"]["curve"][-1]["train_loss"] = math.nan
    stores[0].write(CELL, record)
    for _ in range(2):
        assert math.isnan(stores[0].records()[CELL]["trained"]["curve"][-1]["train_loss"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"schema": 2, "sta', "invalid JSON"),
        (b"", "invalid JSON"),
        (b"[1, 2]", "no key 'schema'"),
        (b'{"schema": 1, "status": "finished"}', "schema 1"),
        (b"\xff\xfe{}", "not UTF-8"),
        ("edited", "was changed after it was written"),
        ("copied", "is the record of another run"),
    ],
)
def test_a_bad_record_is_set_aside_by_name_and_blocks_nothing_else(stores, content, problem):
    store, bad = stores[0], "f" * 16
    store.write(CELL, made())
    path = store.record_path(bad)
    if content == "copied":
        path.write_bytes(store.record_path(CELL).read_bytes())
    elif content == "edited":
        store.write(bad, made())
        path.write_text(path.read_text().replace("relu", "rilu"))
    else:
        path.write_bytes(content)
    for found in (store.records(), store.records()):  # read, then with what was kept
        assert list(found) == [CELL]
        assert list(store.set_aside) == [bad]
        assert problem in store.set_aside[bad]
        assert str(path) in store.set_aside[bad]
        assert "\n" not in store.set_aside[bad]
    assert store.record(bad) is None
    assert store.attempts(bad) == []
    store.write(bad, {**made(), "trained": {**made()["trained"], "config_hash": bad}})  # it is run again
    assert sorted(store.records()) == [CELL, bad]
    assert store.set_aside == {}


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
    there = {"started_at": "", "finished_at": "", "outcome": "failed", "error": "there"}
    store.write(CELL, made(status="failed", attempts=[there]))
    assert [a["outcome"] for a in store.start_attempt(CELL)] == ["failed", "running"]


@pytest.mark.parametrize("key", ["started_at", "finished_at", "outcome", "error"])
def test_an_attempt_that_lacks_something_is_one_line(stores, key):
    store = stores[0]
    (attempt,) = store.start_attempt(CELL)
    del attempt[key]
    (store.run_dir(CELL) / "attempts.json").write_text(json.dumps([attempt]))
    with pytest.raises(UserError, match=rf"attempts\.json: an attempt lacks '{key}'; delete the file"):
        store.start_attempt(CELL)
