"""From a name, a class path or a configuration to an activation module. Importing this does not import torch."""

import fnmatch
import functools
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from lpflu_bench.activations.catalogue import ENTRIES, LEAKY
from lpflu_bench.activations.entry import load
from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest
from lpflu_bench.user_code import class_and_arguments, import_object, is_import_path, object_name

if TYPE_CHECKING:
    from torch import nn

ENTRY_POINT_GROUP = "lpflu_bench.activations"

_T = TypeVar("_T", bound=Callable[..., Any])

_registered: dict[str, Callable[..., Any]] = {}


class UnknownActivationError(UserError):
    """No activation function has this name."""


def register_activation(name: str, *, override: bool = False) -> Callable[[_T], _T]:
    """Register an ``nn.Module`` class, or a function of a tensor, under a name; a decorator.

    Args:
        name: Without dots (those are class paths).
        override: Take the place of a function that has the name already.

    Raises:
        ValueError: The name has a dot or is empty, or is taken and ``override`` is not set.
    """
    if not name or "." in name:
        raise ValueError(f"name must be non-empty and without dots, got {name!r}")

    def register(function: _T) -> _T:
        if not override and (name in ENTRIES or name in _registered or name in _installed()):
            raise ValueError(f"name {name!r} is taken by another activation function; override=True replaces it")
        _registered[name] = function
        return function

    return register


def list_activations(pattern: str = "*") -> list[str]:
    """Return the names that match a shell pattern, sorted: built in, registered, and of installed packages.

    Besides, ``leaky_<name>`` makes Leaky(S) of every smooth ReLU-like one.
    """
    return sorted(fnmatch.filter({*ENTRIES, *_registered, *_installed()}, pattern))


def describe_source(name: str) -> str:
    """Return where a function that is not built in comes from, without importing it."""
    if name in _registered:
        return f"registered by {_registered[name].__module__}"
    return f"of an installed package: {_installed()[name].value}"


def activation_name(spec: "str | Mapping[str, Any]") -> str:
    """Return the name of a configured function in folders and tables: its registry name, or its class in lower case."""
    name = spec if isinstance(spec, str) else str(class_and_arguments(spec, "activation")[0])
    return object_name(name).lower() if is_import_path(name) else name


def create_activation(spec: "str | Mapping[str, Any] | Callable[..., Any]", **settings: Any) -> "nn.Module":
    """Build a new activation module.

    Args:
        spec: A name (``"lpflu"``, ``"leaky_gelu"``); a class path (``"torch.nn.Softplus"``), which may be in a file
            of yours (``"my_functions.py:Bent"``); a mapping with ``class_path`` (any of these) and, optionally,
            ``init_args``; an ``nn.Module`` class; or a function of a tensor.
        **settings: Arguments of the constructor (of the function, if it is one); they go before ``init_args``.

    Raises:
        UnknownActivationError: No such name, module or class.
        UserError: A mapping has other keys.
        TypeError: The class is not an ``nn.Module``, or ``spec`` is nothing of the above.
    """
    if isinstance(spec, Mapping):
        class_path, arguments = class_and_arguments(spec, "activation")
        return create_activation(class_path, **{**arguments, **settings})
    constructor = spec
    if isinstance(spec, str):
        constructor = _import(spec) if is_import_path(spec) else _resolve(spec)

    from torch import nn

    if isinstance(constructor, nn.Module) or not callable(constructor):
        raise TypeError(f"activation must be a name, class path, mapping, class or function, got {constructor!r}")
    if not isinstance(constructor, type):
        if isinstance(constructor, functools.partial) and isinstance(constructor.func, type):
            return create_activation(constructor.func, **{**constructor.keywords, **settings})
        from lpflu_bench.activations.from_function import FunctionActivation

        return FunctionActivation(constructor, **settings)
    if not issubclass(constructor, nn.Module):
        raise TypeError(f"activation {constructor.__qualname__} is not an nn.Module class")
    return constructor(**settings)


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in ENTRIES or (point.name in found and found[point.name].value != point.value):
            taken = found[point.name].value if point.name in found else "this package"
            raise UserError(f"activation {point.name!r} of {point.value} is defined by {taken} too; uninstall one")
        found[point.name] = point
    return found


def _resolve(name: str) -> Callable[..., Any]:
    if name in _registered:
        return _registered[name]
    if name in ENTRIES:
        return ENTRIES[name].load()
    if name in _installed():
        return _installed()[name].load()  # type: ignore[no-any-return]
    smooth = name.removeprefix("leaky_")
    if smooth != name and _can_be_leaky(smooth):
        return functools.partial(load(LEAKY), smooth=smooth)
    names = list_activations()
    names += [f"leaky_{known}" for known in names if _can_be_leaky(known)]
    raise UnknownActivationError(
        f"activation {name!r} is unknown{nearest(name, names)}; `lpflu-bench activations` lists all"
    )


def _can_be_leaky(name: str) -> bool:
    if name in _registered or name not in ENTRIES:
        return name in _registered or name in _installed()
    return ENTRIES[name].smooth_relu


def _import(path: str) -> Callable[..., Any]:
    try:
        return import_object(path)  # type: ignore[no-any-return]
    except UserError as error:
        raise UnknownActivationError(f"activation {path!r}: {error}") from error
