"""Resolve configurations as ``lpflu-bench fit`` would, without building a network."""

import contextlib
import importlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.scores import Score
from lpflu_bench.training.arguments import prepare
from lpflu_bench.training.lightning_cli import BenchCLI


class _ParserOnly(BenchCLI):
    """The command line's parsers without what it does with them."""

    def parse_arguments(self, parser: Any, args: Any) -> None:
        pass

    def prepare_checkpoint(self) -> None:
        self.config = {"subcommand": None}

    def seed(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass


class Resolver:
    """Parses configuration files and settings with the command line's own parser; looks whether their parts exist."""

    def __init__(self) -> None:
        self._parser = _ParserOnly(["fit"]).command_parser("fit")
        self._checked: set[str] = set()
        self._resolved: dict[str, str] = {}

    def resolve(self, files: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resolved configuration of ``fit --config FILE ... --KEY=VALUE ...``.

        Raises:
            UserError: a file is missing, a key is unknown, or a value is not one that its key takes.
        """
        arguments = []
        for file in files:
            arguments += ["--config", file]
        for key, value in settings.items():
            arguments.append(f"--{key}={value if isinstance(value, str) else json.dumps(value)}")
        name = json.dumps(arguments)
        if name not in self._resolved:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                parsed = self._parser.parse_args(prepare(arguments))
                self._resolved[name] = self._parser.dump(parsed, format="json", skip_none=False, skip_validation=True)
        resolved: dict[str, Any] = json.loads(self._resolved[name])
        resolved.pop("config", None)
        return resolved

    def check(self, config: Mapping[str, Any]) -> None:
        """Build the light parts of a resolved configuration: the activation, the data module, the schedule.

        Raises:
            UserError: a constructor refuses its arguments, or the activation is unknown.
        """
        from lpflu_bench.activations.registry import create_activation
        from lpflu_bench.modules.classification import ClassificationModule
        from lpflu_bench.networks.classifiers import check_classifier

        model = config["model"]["init_args"]
        self._once("model.activation", model.get("activation"), create_activation)
        self._once("model.schedule", model.get("schedule"), _build)
        self._once("data", config.get("data"), _build)
        if str(config["model"]["class_path"]).endswith(ClassificationModule.__name__):
            check_classifier(model["network"])

    def scores(self, config: Mapping[str, Any]) -> tuple[Score, ...]:
        """Return the scores that a resolved configuration's module reports."""
        model = config["model"]
        data = _build(config["data"]) if config.get("data") else None
        declared: tuple[Score, ...] = _class(model).declare_scores(
            model["init_args"], getattr(data, "class_names", None) or ()
        )
        return declared

    def network_name(self, config: Mapping[str, Any]) -> str:
        """Return the name of a resolved configuration's network in records and tables."""
        name: str = _class(config["model"]).name_network(config["model"]["init_args"])
        return name

    def _once(self, key: str, spec: Any, build: Any) -> None:
        name = key + json.dumps(spec, sort_keys=True, default=str)
        if spec is None or name in self._checked:
            return
        try:
            build(spec)
        except (TypeError, ValueError) as error:
            line = " ".join(str(error).split())
            raise UserError(line if key in line else f"{key}: {line}") from error
        self._checked.add(name)


def _class(spec: Mapping[str, Any]) -> Any:
    module, _, name = str(spec["class_path"]).rpartition(".")
    return getattr(importlib.import_module(module), name)


def _build(spec: Mapping[str, Any]) -> Any:
    arguments = spec.get("init_args") or {}
    if any(isinstance(value, Mapping) and "class_path" in value for value in arguments.values()):
        return None  # nested classes are the command line's business
    if str(spec["class_path"]).startswith("torch.optim"):
        return None  # a scheduler needs an optimizer
    return _class(spec)(**arguments)
