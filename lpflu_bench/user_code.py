"""Classes and functions of the user's own, named in a configuration: ``my_functions.Bent`` or ``my_functions.py:Bent``."""

import ast
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest


def is_import_path(name: str) -> bool:
    """Return whether ``name`` is a path of :func:`import_object` and not a plain registry name."""
    return "." in name or ":" in name


def object_name(path: str) -> str:
    """Return the last part of an import path: ``Bent`` of ``my_functions.Bent`` and of ``my_functions.py:Bent``."""
    return path.rpartition(":")[2].rpartition(".")[2]


def class_and_arguments(spec: Mapping[str, Any], key: str) -> tuple[Any, dict[str, Any]]:
    """Return ``class_path`` and ``init_args`` of what a configuration names at ``key``.

    Raises:
        UserError: there is no class path, another key, or arguments that are no mapping.
    """
    if "class_path" not in spec or (other := sorted(set(spec) - {"class_path", "init_args"})):
        what = "no class_path" if "class_path" not in spec else f"unknown keys {', '.join(map(str, other))}"
        raise UserError(f"{key}: {what}; a mapping has class_path and, optionally, init_args")
    arguments = spec.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        raise UserError(f"{key}: init_args must be a mapping of names to values, not {arguments!r}")
    return spec["class_path"], dict(arguments)


def import_object(path: str) -> Any:
    """Import what a dotted path (``package.module.Name``) or a file (``folder/file.py:Name``) names.

    Dotted paths are looked up in the current folder too, after everything installed: a file of the user's needs no
    PYTHONPATH. A file is executed once per process, and may import the files beside it.

    Raises:
        UserError: there is no such file, module or name, or importing it fails (says in which line of which file).
    """
    place, name = split_path(path)
    if isinstance(place, Path):
        module = _import_file(place)
    else:
        search_current_folder()
        module = _import_module(place)
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UserError(f"{path.removesuffix(name)[:-1]} has no {name!r}{nearest(name, public)}")
    found = getattr(module, name)
    if isinstance(found, ModuleType):
        raise UserError(f"which class or function of it? write {path}.NAME")
    return found


def split_path(path: str) -> tuple[Path | str, str]:
    """Return the file, or the dotted name of the module, and the name in it that an import path gives; nothing is imported.

    Raises:
        UserError: there is no such file, or the path lacks one of the two; says what a file defines.
    """
    place, _, name = path.rpartition(":")
    if not place and path.endswith(".py"):
        place, name = path, ""
    if place.endswith(".py"):
        file = Path(place).expanduser().resolve()
        if not file.is_file():
            raise UserError(f"there is no file {file}")
        if not name:
            raise UserError(f"which class or function of it? write {place}:NAME{_defined(file)}")
        return file, name
    if not all(part.isidentifier() for part in path.split(".")):
        raise UserError(f"write FILE.py:NAME or package.module.NAME, not {path!r}")
    place, _, name = path.rpartition(".")
    return place, name


def _defined(file: Path) -> str:
    """Return ``; it defines ...`` with the classes and functions of a file, which is not run for it."""
    try:
        statements = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError):
        return ""
    names = [one.name for one in statements if isinstance(one, ast.ClassDef | ast.FunctionDef)]
    public = [name for name in names if not name.startswith("_")]
    return f"; it defines {', '.join(public)}" if public else ""


def search_current_folder() -> None:
    """Let imports find the files of the current folder, after everything installed."""
    _search(Path.cwd())


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"there is no module {error.name!r}, neither installed nor in {Path.cwd()}") from None
        raise _failed(name, error) from error  # it exists, and lacks something that it imports
    except Exception as error:
        raise _failed(name, error) from error


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    # A name of its own: a user's `functions.py` must not be confused with an installed module.
    name = f"{file.stem}_{hashlib.blake2b(str(file).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look a class's module up there
    _search(file.parent)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(str(file), error) from error
    return module


def _failed(what: str, error: Exception) -> UserError:
    if isinstance(error, SyntaxError):
        where = f"{error.filename}, line {error.lineno}"
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}"
        if frame.filename.startswith("<"):  # inside Python's import machinery
            where = what
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return UserError(f"importing {what} fails: {type(error).__name__}: {text} ({where})")
