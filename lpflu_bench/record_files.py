"""How a record is read and written: one JSON file with a hash of its content, replaced in one step."""

import functools
import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints, is_typeddict

import orjson

from lpflu_bench.errors import UserError
from lpflu_bench.files import cannot_write, write_text_atomically
from lpflu_bench.records import FILE_NAME, LAYERS, SCHEMA, Record

_HEAD = re.compile(rb'\{\n "schema": (\d+),\n "hash": "([0-9a-f]{32})",\n')


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def write_record(record: Record, path: Path) -> None:
    """Write a record, with a hash of its content, so that a reader sees the old file or the new one, never a part.

    Raises:
        UserError: the file cannot be written (a full disk, no permission); what was there before is untouched.
    """
    body = json.dumps(record, indent=1, default=str).removeprefix("{\n") + "\n"
    try:
        write_text_atomically(path, f'{{\n "schema": {SCHEMA},\n "hash": "{_digest(body.encode())}",\n{body}')
    except OSError as error:
        raise cannot_write(path, error) from error


def read_record(path: Path, *, brief: bool = False) -> Record:
    """Read one record and check that it is what was written.

    Args:
        path: the file.
        brief: leave out what is long: of the curve all but the last epoch, and whatever is listed layer by layer.

    Raises:
        UserError: not there, not a record of this suite and version, or changed since it was written.

    Warns:
        UserWarning: what it says of a deployment is another version's, and left out.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise UserError(f"cannot read the record {path}: {error.strerror}") from error
    try:
        record = _parsed(content)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a record: not UTF-8; delete it or repeat the run") from error
    except ValueError as error:
        raise UserError(f"{path} is not a record: invalid JSON ({error}); delete it or repeat the run") from error
    if not isinstance(record, dict) or "schema" not in record:
        raise UserError(f"{path} is not a record of lpflu-bench: it has no key 'schema'; delete it or repeat the run")
    if record["schema"] != SCHEMA:
        raise UserError(
            f"{path} has schema {record['schema']}, this version of lpflu-bench reads {SCHEMA}; repeat the run"
        )
    head = _HEAD.match(content)
    if head is None or head[2].decode() != _digest(content[head.end() :]):
        raise UserError(f"{path} was changed after it was written: its hash is not that of its content; repeat the run")
    lacks = lacking(record, Record)
    if lacks.startswith("deployed."):  # the run itself is there
        warnings.warn(
            f"{path} lacks '{lacks}': deployed by another version; run `lpflu-bench deploy` again", stacklevel=2
        )
        del record["deployed"]
    elif lacks:
        raise UserError(f"{path} lacks '{lacks}': another version of lpflu-bench wrote it; repeat the run")
    del record["schema"], record["hash"]
    if brief:
        trained = record["trained"]
        trained["curve"] = trained["curve"][-1:]
        for listed in (trained["placement"], trained["diagnostics"] or {}):
            for key in LAYERS & listed.keys():
                del listed[key]
    return cast(Record, record)


@functools.cache
def _parts(schema: type) -> tuple[tuple[str, ...], tuple[tuple[str, type], ...]]:
    """Return the keys that a part of a record must have, and those that hold parts, with their schemas."""
    parts = []
    for key, hint in get_type_hints(schema).items():
        nested = next((kind for kind in (hint, *get_args(hint)) if is_typeddict(kind)), None)
        if nested is not None:
            parts.append((key, nested))
    return tuple(sorted(schema.__required_keys__)), tuple(parts)  # type: ignore[attr-defined]


def lacking(part: Any, schema: type) -> str:
    """Return the first key that a part of a record lacks, such as ``trained.code.commit``; empty if none."""
    required, parts = _parts(schema)
    if not isinstance(part, dict):
        return required[0]
    for key in required:
        if key not in part:
            return key
    for key, nested in parts:
        value = part.get(key)
        for item in value if isinstance(value, list) else [value] if value is not None else []:
            if inner := lacking(item, nested):
                return f"{key}.{inner}"
    return ""


def _content(path: Path) -> bytes:
    """Return a file's bytes with the line ends it was written with: a checkout on Windows may have others."""
    content = path.read_bytes()
    return content.replace(b"\r\n", b"\n") if b"\r" in content else content  # a copy costs as much as its hash


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # also for NaN, which the curve of a diverged run has
        return json.loads(content.decode())


def record_hash(path: Path) -> str:
    """Return the hash of the content of a record that :func:`read_record` accepts: equal for copies alone."""
    head = _HEAD.match(_content(path))
    return head[2].decode() if head else ""


def find_records(path: Path) -> Iterator[Path]:
    """Yield the record files below a folder in sorted order, or the file itself.

    Those are the ``record.json`` of run folders and the ``records/*.json`` of results.

    Raises:
        UserError: the path does not exist.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted({*path.rglob(FILE_NAME), *path.rglob("records/*.json")})
    else:
        raise UserError(f"{path} does not exist; name a run folder, a folder of runs or a {FILE_NAME}")
