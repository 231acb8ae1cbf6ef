"""Configuration keys: nested and flat, as a person writes them and as the configuration has them."""

from collections.abc import Mapping
from typing import Any

Flat = dict[tuple[str, ...], Any]


def flatten(config: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Flat:
    """Return the leaves of a nested mapping by their path; an empty mapping is a leaf."""
    flat: Flat = {}
    for key, value in config.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, path))
        else:
            flat[path] = value
    return flat


def nest(flat: Flat) -> dict[str, Any]:
    """Undo :func:`flatten`."""
    config: dict[str, Any] = {}
    for path, value in flat.items():
        inner = config
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return config


def plain_key(key: str) -> str:
    """Return a key without what the command line lets one leave out, such as ``init_args``."""
    return ".".join(part for part in key.split(".") if part not in ("init_args", "class_path"))


def overlaps(a: str, b: str) -> bool:
    """Return whether two keys name the same setting or one contains the other."""
    one, two = plain_key(a).split("."), plain_key(b).split(".")
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]
