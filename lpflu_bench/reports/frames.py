"""Records as a table: one row per run, nested keys as dotted columns."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

_FIRST = ["task", "kind", "network", "activation", "seed", "weights", "status"]
_MIDDLE = [
    "num_test_samples",
    "parameters",
    "epochs",
    "steps",
    "batch_size",
    "total_batch_size",
    "devices",
    "precision",
]
_GROUPS = ["cell", "metrics", "", "train", "test", "activation_settings", "placement", "diagnostics", "config"]
_LAST = ["config_hash", "environment", "started_at", "finished_at", "failed_at", "error", "schema"]
_SCALAR_TYPES = {str, int, float, bool, type(None)}
_LEFT_OUT = {"scores", "curve", "placement.layers", "diagnostics.layers", "metrics_averaged"}


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's values under dotted keys (``config.model.init_args.optimizer``).

    Lists become JSON. Left out are the curve and whatever is listed layer by layer: they are tables of their own.
    """
    flat: dict[str, Any] = {}

    def visit(mapping: Mapping[str, Any], prefix: str) -> None:
        for key, value in mapping.items():
            path = f"{prefix}{key}"
            if type(value) not in _SCALAR_TYPES:  # a large study has millions of leaves: one look at each
                if path in _LEFT_OUT:
                    continue
                if isinstance(value, Mapping):
                    visit(value, f"{path}.")
                    continue
                if isinstance(value, (list, tuple)):
                    value = json.dumps(value, default=str)
            flat[path] = value

    visit(record, "")
    return flat


def column_order(columns: Sequence[str]) -> list[str]:
    """Return columns in the order of every table of runs: what ran, what came out, how, and where.

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

    return sorted(set(columns), key=key)


def _sort_key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def cells_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row for each run, sorted by task, network, cell, activation, seed; empty where a run has no such key.

    A run with weight averaging has two rows: ``weights`` says whether ``metrics.*`` are the ``raw`` or the ``averaged``
    weights'.
    """
    return flat_frame(records, [flatten(record) for record in records])


def flat_frame(records: Sequence[Mapping[str, Any]], flats: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return :func:`cells_frame` of records that are flattened already; ``flats`` in the order of ``records``."""
    rows: list[dict[str, Any]] = []
    for record, flat in zip(records, flats, strict=True):
        rows.append({**flat, "weights": "raw"})
        if averaged := record.get("metrics_averaged"):
            others = {key: value for key, value in flat.items() if not key.startswith("metrics.")}
            rows.append(others | {f"metrics.{key}": value for key, value in averaged.items()} | {"weights": "averaged"})
    columns = column_order([key for row in rows for key in row])
    by = [
        "task",
        "network",
        *(name for name in columns if name.startswith("cell.") and name != "cell.seed"),
        "activation",
        "seed",
        "weights",
        "config_hash",
        "started_at",
    ]
    rows.sort(key=lambda row: [_sort_key(row.get(name)) for name in by])
    # Object columns keep a whole number whole beside an empty place.
    return pd.DataFrame(rows, columns=columns or _FIRST, dtype=object)
