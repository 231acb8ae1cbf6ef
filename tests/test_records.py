import errno
import json
import os

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.records import SCHEMA, config_hash, find_records, identity, read_record, write_record

CONFIG = {
    "seed_everything": 0,
    "run_dir": "/somewhere/runs/x",
    "model": {"class_path": "M", "init_args": {"activation": "lpflu"}},
    "data": {"class_path": "D", "init_args": {"root": "/mnt/data", "num_workers": 8, "batch_size": 128}},
    "trainer": {"max_epochs": 80, "accelerator": "gpu", "default_root_dir": "/x", "precision": "32-true"},
}


def test_identity_has_no_paths_and_keeps_what_decides_the_result():
    kept = identity(CONFIG)
    assert kept["data"]["init_args"] == {"batch_size": 128}
    assert kept["trainer"] == {"max_epochs": 80, "precision": "32-true"}
    assert "run_dir" not in kept
    assert kept["model"] == CONFIG["model"]


def test_hash_ignores_key_order_and_machine_but_not_settings():
    elsewhere = {
        **CONFIG,
        "run_dir": "/other",
        "data": {"init_args": {"batch_size": 128, "root": "D:/"}, "class_path": "D"},
    }
    assert config_hash(elsewhere) == config_hash(CONFIG)
    assert config_hash({**CONFIG, "seed_everything": 1}) != config_hash(CONFIG)
    assert config_hash({**CONFIG, "trainer": {**CONFIG["trainer"], "precision": "bf16-mixed"}}) != config_hash(CONFIG)


def test_a_record_comes_back_and_leaves_no_temporary_file(tmp_path):
    write_record({"schema": SCHEMA, "x": 1.5}, tmp_path / "run" / "record.json")
    assert read_record(tmp_path / "run" / "record.json") == {"schema": SCHEMA, "x": 1.5}
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["record.json"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_record_intact(tmp_path, monkeypatch, failing):
    path = tmp_path / "record.json"
    write_record({"schema": SCHEMA, "x": 1}, path)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*(("os.fsync", full) if failing == "fsync" else ("pathlib.Path.replace", full)))
    with pytest.raises(UserError, match="No space left on device; earlier records are intact"):
        write_record({"schema": SCHEMA, "x": 2}, path)
    assert json.loads(path.read_text())["x"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_what_is_no_record_is_named(tmp_path):
    for text, message in (("{", "invalid JSON"), ("[1]", "no key 'schema'"), ('{"schema": 99}', "schema 99")):
        path = tmp_path / "record.json"
        path.write_text(text)
        with pytest.raises(UserError, match=message) as caught:
            read_record(path)
        assert str(path) in str(caught.value)
    with pytest.raises(UserError, match="does not exist"):
        list(find_records(tmp_path / "nowhere"))


def test_records_are_found_below_a_folder_in_order(tmp_path):
    for name in ("b", "a/c"):
        write_record({"schema": SCHEMA}, tmp_path / name / "record.json")
    assert [str(p.relative_to(tmp_path)) for p in find_records(tmp_path)] == ["a/c/record.json", "b/record.json"]
