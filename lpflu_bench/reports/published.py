"""Published tables: their values, and the settings that they were measured with."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.studies.keys import plain_key
from lpflu_bench.studies.study_file import published_path
from lpflu_bench.text import setting_text

SETTINGS = "settings.yaml"
_REQUIRED = ["table", "task", "network", "activation", "metric", "value"]


@dataclass(frozen=True)
class Published:
    """A published table.

    Attributes:
        name: the file's stem.
        rows: one a value, every column as text.
        columns: the columns that tell settings apart, such as ``optimizer``.
        settings: task -> configuration key -> published value; empty where none are stated.
        variants: column -> its value -> what it changes in the settings.
    """

    name: str
    rows: tuple[Mapping[str, str], ...]
    columns: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    variants: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def values(self, task: str, network: str, metric: str, setting: Mapping[str, str]) -> tuple[dict[str, float], str]:
        """Return function -> published value under these settings; or none, and why.

        Args:
            task: of the measured place.
            network: of its runs.
            metric: name of the score.
            setting: axis -> value of the place.
        """
        rows = [row for row in self.rows if row["task"] == task and row["metric"] == metric]
        if not rows:
            return {}, f"{metric} of {task} is not in the published table"
        rows = [row for row in rows if _network_matches(network, row["network"])]
        if not rows:
            return {}, f"the published table has no network {network}"
        for name in self.columns:
            if name not in setting:
                return {}, f"the published table distinguishes {name}, the study does not"
            rows = [row for row in rows if setting[name].casefold() == row[name].casefold()]
        if not rows:
            return {}, "the published table has no such setting"
        return {row["activation"]: float(row["value"]) for row in rows}, ""

    def differing(self, task: str, setting: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return key -> (measured, published) for every stated setting in which a configuration differs."""
        wanted = dict(self.settings.get(task, {}))
        for name in self.columns:
            wanted |= self.variants.get(name, {}).get(setting.get(name, ""), {})
        had = dict(_plain(config))
        nested = {key for key in wanted if any(other.startswith(f"{key}.") for other in wanted)}
        return {
            key: (had.get(key), value)
            for key, value in wanted.items()
            if not _same(had.get(key), value) and not (value is None and key in nested)
        }


def _same(one: Any, two: Any) -> bool:
    unset = (None, False, "none")
    return one == two or (one in unset and two in unset)


def _plain(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a configuration's leaves under the keys that the command line takes; a class under its part's own key."""
    for key, value in config.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _plain(value, path)
        else:
            yield plain_key(path), value


def _network_matches(network: str, published: str) -> bool:
    # A recipe's network may be named more closely than the paper does: ssdlite320_mobilenet_v3_large is an ssdlite.
    return (
        not published
        or network == published
        or network.startswith(f"{published}_")
        or (published.isalpha() and network.startswith(published))
    )


def load_published(table: str) -> Published:
    """Read a published table: ``table1`` ... ``table7`` or the path of a CSV file with the same columns.

    The settings come from ``settings.yaml`` in the same folder, if there is one.

    Raises:
        UserError: there is no such table, or it lacks a column or has a value that is not a number.
    """
    path = published_path(table)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        columns = list(reader.fieldnames or [])
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}")
    for number, row in enumerate(rows, 2):
        try:
            float(row["value"])
        except (TypeError, ValueError):
            raise UserError(f"{path}, line {number}: the value {row['value']!r} is not a number") from None
    stated: dict[str, Any] = {}
    if (settings := path.parent / SETTINGS).is_file():
        stated = yaml.safe_load(settings.read_text(encoding="utf-8")) or {}
    return Published(
        path.stem,
        tuple(rows),
        tuple(name for name in columns if name not in _REQUIRED),
        stated.get("tasks", {}),
        stated.get("columns", {}),
    )


def differing_text(differing: Mapping[str, tuple[Any, Any]]) -> str:
    """Return differing settings in words, key by key."""
    return ", ".join(
        f"{key} {setting_text(measured)} (published: {setting_text(value)})"
        for key, (measured, value) in differing.items()
    )
