"""Records as a table: one row per run, nested keys as dotted columns."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench.files import replaced_atomically
from lpflu_bench.records import LAYERS, Record, Tested

_FIRST = ["task", "kind", "network", "activation", "seed", "weights", "status"]
_MIDDLE = [
    "incomplete",
    "parameters",
    "epochs",
    "steps",
    "batch_size",
    "total_batch_size",
    "devices",
    "precision",
]
_GROUPS = ["cell", "conditions", "metrics", "", "test", "activation_settings", "placement", "diagnostics", "config"]
_LAST = ["config_hash", "code", "environment", "started_at", "finished_at", "written_at", "failed_at", "error"]
_SCALAR_TYPES = {str, int, float, bool, type(None)}
_LEFT_OUT = {
    "scores",
    "tested",
    "curve",
    "deployed",
    *(f"{part}.{name}" for part in ("placement", "diagnostics") for name in LAYERS),
}


def flatten(record: Record) -> dict[str, Any]:
    """Return a record's values but its tests' under dotted keys (``config.model.init_args.optimizer``).

    What was trained stands without a prefix. Lists become JSON. Left out are the curve and whatever is listed layer by
    layer: they are tables of their own.
    """
    outer = {key: value for key, value in record.items() if key != "trained"}
    return _flat({**record["trained"], **outer})


class _Paths(dict[str, str]):
    """The dotted path of each key below a prefix, made once: a large study has millions of leaves."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, key: str) -> str:
        path = self[key] = f"{self._prefix}{key}"
        return path


_paths: dict[str, _Paths] = {}


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def visit(mapping: Mapping[str, Any], prefix: str) -> None:
        paths = _paths.get(prefix) or _paths.setdefault(prefix, _Paths(prefix))
        for key, value in mapping.items():
            path = paths[key]
            if type(value) not in _SCALAR_TYPES:
                if path in _LEFT_OUT:
                    continue
                if isinstance(value, dict):
                    visit(value, f"{path}.")
                    continue
                if isinstance(value, (list, tuple)):
                    value = json.dumps(value, default=str)
            flat[path] = value

    visit(nested, "")
    return flat


def _test_columns(test: Tested) -> dict[str, Any]:
    """Return a test's values: ``weights``, ``metrics.*``, ``conditions.*``, and the rest as ``test.*``."""
    shown = {name: test[name] for name in ("weights", "metrics", "conditions")}
    return _flat({**shown, "test": {key: value for key, value in test.items() if key not in shown}})


def column_order(columns: Iterable[str]) -> list[str]:
    """Return columns in the order of every table of runs: what ran, the results, how, and where.

    It depends on the set of names alone, so the same records in another order give the same file.
    """

    def key(name: str) -> tuple[int, int, str]:
        group = name.partition(".")[0]
        if name in _FIRST:
            return (0, _FIRST.index(name), "")
        if name in _MIDDLE:
            return (1 + _GROUPS.index(""), _MIDDLE.index(name), "")
        if group in _GROUPS:
            return (1 + _GROUPS.index(group), 0, name)
        return (20, _LAST.index(group) if group in _LAST else -1, name)

    return sorted(columns, key=key)


def _sort_key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def cell_rows(records: Sequence[Record]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns' names, and one row for each test of each run, sorted by task, network, cell, activation, seed.

    A run that was not tested has one row. A run with weight averaging has two for each test: ``weights`` says whether
    ``metrics.*`` are the ``raw`` or the ``averaged`` weights'. A row has no key that its run has not.
    """
    rows: list[dict[str, Any]] = []
    for record in records:
        trained = flatten(record)
        rows += [trained | test for test in map(_test_columns, record["tested"])] or [trained | {"weights": "raw"}]
    columns = column_order(set().union(*rows)) or _FIRST
    by = [
        "task",
        "network",
        *(name for name in columns if name.startswith("cell.") and name != "cell.seed"),
        "activation",
        "seed",
        *(name for name in columns if name.startswith("conditions.")),
        "weights",
        "config_hash",
        "started_at",
    ]
    by = [name for name in by if len({row.get(name) for row in rows}) > 1]  # most say the same in every row
    rows.sort(key=lambda row: [_sort_key(row.get(name)) for name in by])
    return columns, rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under their columns' names; an empty place for None and for a key that a row lacks."""
    with replaced_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(row.get, columns) for row in rows)
