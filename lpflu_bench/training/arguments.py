"""The command line of ``fit`` and its sisters before LightningCLI parses it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.paths import resource_path
from lpflu_bench.yaml_files import read_yaml

_SPEC_KEYS = ("model.activation", "model.network")
"""Settings that are a name, or a mapping of class_path and init_args: jsonargparse takes such a value only whole."""


def prepare(arguments: Sequence[str]) -> list[str]:
    """Return the arguments as LightningCLI is to see them.

    - Configuration files come first, so that a flag wins over every file wherever it stands. Each is read and looked up
      among the bundled ones (:func:`resource_path`).
    - ``--model.activation.init_args.power 3`` is folded into ``--model.activation``, on top of what the files say.

    Raises:
        UserError: a file cannot be read (:func:`read_yaml`), or a flag has no value.
    """
    files: list[str] = []
    specs: dict[str, dict[str, str]] = {}
    rest: list[str] = []
    for flag, value in _flags(arguments):
        spec = next((key for key in _SPEC_KEYS if flag == f"--{key}" or flag.startswith(f"--{key}.")), None)
        if flag in ("-c", "--config"):
            files.append(value or "")
        elif spec is not None:
            if not value:
                raise UserError(f"{flag} needs a value")
            specs.setdefault(spec, {})[flag.removeprefix(f"--{spec}").removeprefix(".")] = value
        else:
            if value is not None and value.endswith((".yaml", ".yml")) and Path(value).is_file():
                read_yaml(Path(value))  # `--model FILE`: jsonargparse keeps the last of two equal keys
            rest.append(flag if value is None else f"{flag}={value}")
    paths = [resource_path(file) for file in files]
    contents = [read_yaml(path) for path in paths]
    rest += [f"--{key}={_folded(key, flags, contents)}" for key, flags in specs.items()]
    return [*(f"--config={path}" for path in paths), *rest]


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each flag with its value; None where it takes none."""
    waiting: str | None = None
    for argument in arguments:
        is_flag = argument.startswith("--") or argument in ("-c", "-h")
        if waiting is not None:
            if is_flag:
                raise UserError(f"{waiting} needs a value")
            yield waiting, argument
            waiting = None
        elif "=" in argument and is_flag:
            flag, _, value = argument.partition("=")
            yield flag, value
        elif not is_flag or argument in ("-h", "--help", "--print_config") or argument.endswith(".help"):
            yield argument, None
        else:
            waiting = argument
    if waiting is not None:
        raise UserError(f"{waiting} needs a value")


def _folded(key: str, flags: Mapping[str, str], contents: Sequence[Mapping[Any, Any]]) -> str:
    """Return the value of ``key`` that flags give on top of the files: a name, or a mapping as JSON."""
    spec: dict[str, Any] = {}
    for content in contents:
        found: Any = content
        for part in key.split("."):
            inner = found.get(part, found.get("init_args", {}).get(part)) if isinstance(found, Mapping) else None
            found = inner
        spec = _merged(spec, found)
    if "" in flags:
        spec = _merged(spec, yaml.safe_load(flags[""]))
    if "class_path" in flags:
        spec = _merged(spec, flags["class_path"])
    settings = {
        name.removeprefix("init_args."): yaml.safe_load(value)
        for name, value in flags.items()
        if name not in ("", "class_path")
    }
    if unknown := [str(name) for name in spec if name not in ("class_path", "init_args")]:
        raise UserError(
            f"{key}: unknown keys {', '.join(unknown)}; a mapping has class_path and, optionally, init_args"
        )
    if not settings and not spec.get("init_args"):
        return str(spec.get("class_path", ""))
    return json.dumps({**spec, "init_args": {**spec.get("init_args", {}), **settings}})


def _merged(spec: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return a spec after a later file or flag: another class drops the settings of the one before."""
    if given is None:
        return spec
    new = dict(given) if isinstance(given, Mapping) else {"class_path": given}
    same = new.get("class_path", spec.get("class_path")) == spec.get("class_path")
    return {**spec, **new} if same else new
