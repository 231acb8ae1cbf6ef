import errno
import json
import math
import os

import pytest
from synthetic_records import DEPLOYED, record, result_of_test

from lpflu_bench.errors import UserError
from lpflu_bench.record_files import _parts, find_records, read_record, record_hash, write_record
from lpflu_bench.records import Record, by_condition, metrics


def test_a_record_comes_back_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "run" / "record.json"
    write_record(record("relu", 0, 30.0), path)
    again = read_record(path)
    assert again == record("relu", 0, 30.0)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["record.json"]
    assert (json.loads(path.read_text())["schema"], json.loads(path.read_text())["hash"]) == (2, record_hash(path))


def test_the_hash_is_that_of_the_content(tmp_path):
    one, same, other = (tmp_path / name for name in "abc")
    for path, value in ((one, 30.0), (same, 30.0), (other, 31.0)):
        write_record(record("relu", 0, value), path)
    assert record_hash(one) == record_hash(same) != record_hash(other)
    one.write_bytes(one.read_bytes().replace(b"\n", b"\r\n"))  # as a checkout on another system may have it
    assert read_record(one)["status"] == "finished"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_record_intact(tmp_path, monkeypatch, failing):
    path = tmp_path / "record.json"
    write_record(record("relu", 1, 30.0), path)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*(("os.fsync", full) if failing == "fsync" else ("pathlib.Path.replace", full)))
    with pytest.raises(UserError, match=r"record\.json: No space left on device; make room"):
        write_record(record("relu", 2, 30.0), path)
    assert read_record(path)["trained"]["seed"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "invalid JSON"),
        (b"", "invalid JSON"),
        (b"[1]", "no key 'schema'"),
        (b'{"schema": 99}', "schema 99, this version of lpflu-bench reads 2"),
        (b'{"schema": 2, "status": "finished"}', "was changed after it was written"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_no_record_is_named(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("change", [("30.0,", "20.0,"), ('"finished"', '"fitted"'), ('"seed": 0', '"seed": 1')])
def test_a_changed_record_is_found(tmp_path, change):
    path = tmp_path / "record.json"
    write_record(record("relu", 0, 30.0), path)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(UserError, match="was changed after it was written"):
        read_record(path)


def test_a_record_laid_out_anew_is_not_the_one_written(tmp_path):
    path = tmp_path / "record.json"
    write_record(record("relu", 0, 30.0), path)
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(UserError, match="was changed after it was written"):
        read_record(path)


def whole_record():
    """A record with every part that there is."""
    outcomes = {"kind": "classification", "key": "raw", "hash": "0"}
    return record("relu", 0, 30.0) | {
        "tested": [result_of_test({"top1_error": 30.0}, outcomes=outcomes)],
        "attempts": [{"started_at": "", "finished_at": "", "outcome": "finished", "error": None}],
        "deployed": DEPLOYED,
    }


def without(item, path):
    """A copy of a record that lacks one key."""
    item = json.loads(json.dumps(item))  # nothing in it twice
    *above, last = path.split(".")
    part = item
    for key in above:
        part = part[key][0] if isinstance(part[key], list) else part[key]
    del part[last]
    return item


def paths_of(schema, at=""):
    required, parts = _parts(schema)
    yield from (at + key for key in required)
    for key, nested in parts:
        yield from paths_of(nested, f"{at}{key}.")


@pytest.mark.parametrize("lacking", sorted({*paths_of(Record)}))
def test_a_record_that_lacks_a_key_is_named_with_what_to_do(tmp_path, lacking):
    path = tmp_path / "record.json"
    write_record(whole_record(), path)
    assert read_record(path) == whole_record()
    write_record(without(whole_record(), lacking), path)
    if lacking.startswith("deployed."):
        with pytest.warns(UserWarning, match=rf"record\.json lacks '{lacking}': .* run `lpflu-bench deploy` again"):
            assert "deployed" not in read_record(path)
    else:
        with pytest.raises(UserError, match=rf"record\.json lacks '{lacking}': .* repeat the run"):
            read_record(path)


def test_records_are_found_below_a_folder_in_order(tmp_path):
    for name in ("b", "a/c"):
        write_record(record("relu", 0, 30.0), tmp_path / name / "record.json")
    write_record(record("relu", 0, 30.0), tmp_path / "study" / "records" / "5ac6.json")
    found = [str(p.relative_to(tmp_path)) for p in find_records(tmp_path)]
    assert found == ["a/c/record.json", "b/record.json", "study/records/5ac6.json"]
    with pytest.raises(UserError, match="does not exist"):
        list(find_records(tmp_path / "nowhere"))


def test_a_record_is_one_for_each_condition_of_test():
    made = record("relu", 0, 30.0)
    noise = {"data.test_noise": {"kind": "gaussian", "strength": 0.1}}
    made["tested"] += [
        result_of_test({"top1_error": 60.0}, conditions=noise),
        result_of_test({"top1_error": 29.0}, weights="averaged"),
        result_of_test({"top1_error": 59.0}, conditions=noise, weights="averaged"),
    ]
    clean, noisy = by_condition(made)
    assert [metrics(clean)["top1_error"], metrics(clean, "averaged")["top1_error"]] == [30.0, 29.0]
    assert [metrics(noisy)["top1_error"], metrics(noisy, "averaged")["top1_error"]] == [60.0, 59.0]
    assert clean["trained"] is noisy["trained"]
    untested = {**made, "tested": []}
    assert list(by_condition(untested)) == [untested]
    assert metrics(untested) == {}


def test_a_record_read_in_short_lacks_the_curve_and_the_layers_alone(tmp_path):
    path = tmp_path / "record.json"
    write_record(record("relu", 0, 30.0), path)
    whole, short = read_record(path), read_record(path, brief=True)
    assert short["trained"]["curve"] == whole["trained"]["curve"][-1:]
    assert "layers" not in short["trained"]["placement"]
    del whole["trained"]["placement"]["layers"]
    whole["trained"]["curve"] = whole["trained"]["curve"][-1:]
    assert short == whole


def test_a_record_with_nan_is_read(tmp_path):
    path = tmp_path / "record.json"
    item = record("relu", 0, 30.0)
    item["trained"]["curve"][0]["train_loss"] = float("nan")
    write_record(item, path)
    assert math.isnan(read_record(path)["trained"]["curve"][0]["train_loss"])
