import pytest

from lpflu_bench.studies.store import Store

CELL = "0123456789abcdef"


@pytest.fixture
def stores(tmp_path):
    """Two of one study, as two processes have them."""
    return [Store("s", tmp_path / "results", tmp_path / "runs") for _ in range(2)]


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
