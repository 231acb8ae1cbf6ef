"""What is judged: one function, by a name that every process can import, and the code that it is made of."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpflu_bench.activations.registry import create_activation
from lpflu_bench.environment import file_hash
from lpflu_bench.errors import UserError
from lpflu_bench.user_code import is_import_path, split_path


@dataclass(frozen=True)
class Subject:
    """A function to be judged.

    Attributes:
        name: what it is called in tables, and in the names of folders.
        spec: what :func:`~lpflu_bench.create_activation` takes in any process and folder.
        source: hash of its file; None for one of the registry or an installed package.
    """

    name: str
    spec: str
    source: str | None = None


def subject_of(function: str | Callable[..., Any]) -> Subject:
    """Return what is judged, without importing it: that is left to a process that may die of it.

    Args:
        function: ``my_functions.py:Bent``, ``package.module.Bent``, a registry name, or the class or function itself,
            which must be importable by its name in its file.

    Raises:
        UserError: there is no such file or name, or a function has no name of its own.
    """
    if not isinstance(function, str):
        return _of_object(function)
    if not is_import_path(function):
        create_activation(function)  # of this package: an unknown name is refused
        return Subject(function, function)
    place, name = split_path(function)
    if isinstance(place, Path):
        return Subject(name, f"{place}:{name}", file_hash(place))
    return Subject(name, function)


def _of_object(function: Callable[..., Any]) -> Subject:
    name = str(getattr(function, "__qualname__", ""))
    if not name.isidentifier():
        raise UserError(
            f"{name or function!r} cannot be imported by other processes: define it in a file, under a name"
        )
    try:
        file = Path(inspect.getfile(function)).resolve()
    except (TypeError, OSError) as error:
        raise UserError(f"{name} has no source file: define it in a file and pass FILE.py:{name}") from error
    return Subject(name, f"{file}:{name}", file_hash(file))
