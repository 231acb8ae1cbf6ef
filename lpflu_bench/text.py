"""How values and hints are worded, wherever they are printed."""

import difflib
import json
from collections.abc import Iterable
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; the nearest are ...`` for an error message, or all names if none is near and they are few.

    Capitals do not matter.
    """
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    if close:
        return f"; the nearest {'is' if len(close) == 1 else 'are'} {', '.join(close)}"
    return f"; known {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if 0 < len(names) <= 12 else ""


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 place``, ``2 places``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return seconds as people read them: ``42 s``, ``7 min``, ``3.2 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


def setting_text(value: Any) -> str:
    """Return a setting's value as it is printed (YAML's ``on`` and ``off`` arrive as booleans)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else json.dumps(value, sort_keys=True, default=str)
