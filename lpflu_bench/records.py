"""The record of a run: one JSON file, written in one atomic step, and the identity of a configuration."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import write_text_atomically

SCHEMA = 1
FILE_NAME = "record.json"

# What a run is does not depend on where its files lie, on which machine it ran or on what was printed or noted meanwhile.
_MACHINE_KEYS = {
    "": {"config", "diagnostics", "run_dir", "ckpt_path", "weights_only", "verbose", "return_predictions"},
    "data": {"root", "num_workers", "on_device", "download", "cache", "cache_dir", "pin_memory"},
    "trainer": {
        "accelerator",
        "barebones",
        "callbacks",
        "default_root_dir",
        "enable_autolog_hparams",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "fast_dev_run",
        "log_every_n_steps",
        "logger",
        "plugins",
        "profiler",
        "strategy",
    },
}


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a resolved configuration the run it is: everything but paths, machine and display settings."""
    kept: dict[str, Any] = {}
    for section, value in config.items():
        if section in _MACHINE_KEYS[""]:
            continue
        machine = _MACHINE_KEYS.get(section, set())
        if isinstance(value, Mapping) and machine:
            value = _without(value, machine)
            if isinstance(value.get("init_args"), Mapping):
                value["init_args"] = _without(value["init_args"], machine)
        kept[section] = value
    return kept


def _without(section: Mapping[str, Any], machine: set[str]) -> dict[str, Any]:
    """Leave machine settings out; `root: embedded` is no path but another data set."""
    return {key: item for key, item in section.items() if key not in machine or (key == "root" and item == "embedded")}


def _without_unset(value: Any) -> Any:
    """Leave out what is null or false, at any depth."""
    if isinstance(value, Mapping):
        return {key: _without_unset(item) for key, item in value.items() if item is not None and item is not False}
    return value


def config_hash(config: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the configuration's :func:`identity`; key order does not matter.

    Keys that are null or false do not count, so that another release of torch or Lightning, whose optimizer or trainer
    has one more switch, gives the same run the same hash.
    """
    text = json.dumps(_without_unset(identity(config)), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write a record so that a reader sees the old file or the new one, never a part: temporary file, fsync, rename.

    Raises:
        UserError: the file cannot be written (a full disk, no permission); what was there before is untouched.
    """
    try:
        write_text_atomically(path, json.dumps(record, indent=1, default=str) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write the record {path}: {error.strerror}; earlier records are intact, make room and run again"
        ) from error


def read_record(path: Path) -> dict[str, Any]:
    """Read one record.

    Raises:
        UserError: not there, not JSON, or not a record of this suite.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the record {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a record: invalid JSON ({error}); delete it or re-run that run") from error
    if not isinstance(record, dict) or "schema" not in record:
        raise UserError(f"{path} is not a record of lpflu-bench: it has no key 'schema'")
    if record["schema"] != SCHEMA:
        raise UserError(f"{path} has schema {record['schema']}, this version of lpflu-bench reads {SCHEMA}")
    return record


def find_records(path: Path) -> Iterator[Path]:
    """Yield the record files below a folder in sorted order, or the file itself.

    Raises:
        UserError: the path does not exist.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(path.rglob(FILE_NAME))
    else:
        raise UserError(f"{path} does not exist; name a run folder, a folder of runs or a {FILE_NAME}")
