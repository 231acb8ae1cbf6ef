"""The file beside a record that holds the outcomes of its tests."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lpflu_bench.errors import UserError
from lpflu_bench.files import replaced_atomically
from lpflu_bench.outcomes.base import Arrays, Outcomes
from lpflu_bench.outcomes.classification import ClassificationOutcomes
from lpflu_bench.outcomes.detection import DetectionOutcomes
from lpflu_bench.outcomes.segmentation import SegmentationOutcomes
from lpflu_bench.records import FILE_NAME, OutcomesFile, Tested

_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for a file that is missing, cut or damaged."""

_KINDS: dict[str, Any] = {c.kind: c for c in (ClassificationOutcomes, SegmentationOutcomes, DetectionOutcomes)}


def outcomes_path(record: Path) -> Path:
    """Return where the outcomes of a record's tests are."""
    return record.with_name("outcomes.npz") if record.name == FILE_NAME else record.with_suffix(".npz")


def _key(weights: str, conditions: Mapping[str, Any]) -> str:
    text = json.dumps([weights, conditions], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _hash(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Arrays:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def save_outcomes(
    outcomes: Outcomes, record: Path, weights: str, conditions: Mapping[str, Any], keep: Sequence[Tested] = ()
) -> OutcomesFile:
    """Put a test's outcomes beside a record, and return what the record says of them.

    Args:
        outcomes: of the test.
        record: path of the record.
        weights: that were tested.
        conditions: of the test.
        keep: the record's other tests; outcomes of any others are removed from the file.
    """
    path, key = outcomes_path(record), _key(weights, conditions)
    kept = {test["outcomes"]["key"] for test in keep if test["outcomes"]} - {key}
    try:
        earlier = _read(path) if kept else {}
    except _UNREADABLE:
        earlier = {}  # their tests are done again: has_outcomes
    arrays = outcomes.arrays()
    stored = {name: array for name, array in earlier.items() if name.partition(".")[0] in kept}
    stored |= {f"{key}.{name}": array for name, array in arrays.items()}
    with replaced_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **stored)
    return {"kind": getattr(outcomes, "kind"), "key": key, "hash": _hash(arrays)}  # noqa: B009


def load_outcomes(record: Path, test: Tested) -> Outcomes:
    """Return the outcomes of one of a record's tests.

    Args:
        record: path of the record.
        test: one of its ``tested``.

    Raises:
        UserError: the test has none, or the file is missing or is not the one that was written.
    """
    path, described = outcomes_path(record), test["outcomes"]
    if described is None:
        raise UserError(f"{record} has no outcomes by image: it was made by an earlier version; test the run again")
    try:
        arrays = _read(path)
    except _UNREADABLE as error:
        raise UserError(
            f"{path} with the outcomes of {record.name} cannot be read ({error}); test the run again"
        ) from error
    prefix = f"{described['key']}."
    mine = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    if _hash(mine) != described["hash"]:
        raise UserError(f"{path} is not what was written with {record.name}; test the run again")
    outcomes: Outcomes = _KINDS[described["kind"]].from_arrays(mine)
    return outcomes


def has_outcomes(record: Path, test: Tested) -> bool:
    """Return whether the outcomes that one of a record's tests wrote are there and whole."""
    try:
        load_outcomes(record, test)
    except UserError:
        return False
    return True
