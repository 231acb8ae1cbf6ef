"""A function or network as a configuration names it."""

from collections.abc import Mapping
from typing import Any

from jsonargparse.typing import register_type

Plain = str | dict[str, Any]
"""A registry name or a class path; or a mapping with ``class_path`` (either of these) and ``init_args``."""


class Spec:
    """Carries a :data:`Plain` value through jsonargparse, which takes every mapping with a class_path for a class's.

    A registry name (``lpflu``) or a file (``my_functions.py:Bent``) in its place makes jsonargparse fail.
    """

    def __init__(self, value: Plain) -> None:
        if isinstance(value, Mapping):
            if "class_path" not in value:
                raise ValueError("no class_path")
            value = dict(value)
        elif not isinstance(value, str):
            raise ValueError("neither a name nor a mapping")
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.value)


register_type(Spec, serializer=lambda spec: spec.value)


def plain(value: Spec | Plain) -> Plain:
    """Return what a configuration file holds."""
    return value.value if isinstance(value, Spec) else value
