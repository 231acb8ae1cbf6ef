"""Experiment trackers, which log a run beside its own ``metrics.csv``: TensorBoard, W&B, MLflow, trackio."""

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from lpflu_bench.errors import UserError

# The argument that names a run, what it is where nobody has set it, and the argument that makes it go on with a run: it
# takes what Lightning calls the logger's version. trackio knows a run by its name.
_RUN_NAME: dict[str, tuple[str, Any, str]] = {
    "TensorBoardLogger": ("name", "lightning_logs", "version"),
    "WandbLogger": ("name", None, "id"),
    "MLFlowLogger": ("run_name", None, "run_id"),
    "TrackioLogger": ("name", None, "name"),
}


def _class_name(spec: Any) -> str:
    return str(spec["class_path"]).rpartition(".")[2]


def tracker_specs(setting: Any) -> list[Any]:
    """Return the trackers among what ``trainer.logger`` is set to: one, several, a switch or nothing."""
    specs = setting if isinstance(setting, list) else [setting]
    return [spec for spec in specs if hasattr(spec, "keys") and "class_path" in spec and _class_name(spec) in _RUN_NAME]


def name_run(setting: Any, name: str) -> None:
    """Give the trackers of a parsed ``trainer.logger`` a run name, in place, where the user has not."""
    _allow_files()
    for spec in tracker_specs(setting):
        argument, unset, _ = _RUN_NAME[_class_name(spec)]
        if spec["init_args"].get(argument) == unset:
            spec["init_args"][argument] = name


def continue_runs(setting: Any, trained: Any) -> None:
    """Let the trackers of a parsed ``trainer.logger`` go on with the runs of a checkpoint's training, in place.

    Args:
        setting: of this command.
        trained: of the training, as :func:`keep_runs` left it.
    """
    earlier = {_class_name(spec): spec["init_args"] for spec in tracker_specs(trained)}
    for spec in tracker_specs(setting):
        name, _, run = _RUN_NAME[_class_name(spec)]
        for argument in {name, run} & earlier.get(_class_name(spec), {}).keys():
            spec["init_args"][argument] = earlier[_class_name(spec)][argument]


def keep_runs(setting: Any, loggers: Sequence[Logger]) -> None:
    """Note in a plain ``trainer.logger``, in place, which runs its loggers have started: it travels in the checkpoint."""
    specs = setting if isinstance(setting, list) else [setting]
    for spec, logger in zip(specs, loggers, strict=True):
        if tracker_specs(spec):
            spec["init_args"][_RUN_NAME[_class_name(spec)][2]] = logger.version


def _allow_files() -> None:
    """Let MLflow log to files, as its overlay does without a server; it asks for this by name."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


def spare_warning(loggers: Sequence[Logger]) -> None:
    """Leave out the setting ``anonymous``, which Lightning passes always and W&B warns of whenever it is there."""
    for logger in loggers:
        if type(logger).__name__ == "WandbLogger":
            logger._wandb_init.pop("anonymous", None)  # type: ignore[attr-defined]


def end_runs() -> None:
    """End the run that W&B keeps open for a whole process: the next cell in it is another run."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()


def build_tracker(spec: Mapping[str, Any], name: str) -> Logger:
    """Return the tracker of a resolved configuration.

    Raises:
        UserError: its package is not installed.
    """
    _allow_files()
    module, _, class_name = str(spec["class_path"]).rpartition(".")
    arguments = dict(spec.get("init_args") or {})
    argument, *_ = _RUN_NAME[class_name]
    try:
        logger: Logger = getattr(importlib.import_module(module), class_name)(**{**arguments, argument: name})
    except ModuleNotFoundError as error:
        raise UserError(
            f"trainer.logger: {class_name} needs a package that is not installed: pip install 'lpflu-bench[loggers]'"
        ) from error
    spare_warning([logger])
    return logger


def log_report(setting: Any, name: str, page: Path, texts: Sequence[Path]) -> list[str]:
    """Log a study's page and texts with the trackers that its runs log to; return the trackers' names.

    Args:
        setting: ``trainer.logger`` of a resolved configuration.
        name: of the trackers' run.
        page: the report's page.
        texts: Markdown files: verdicts and tables.

    Raises:
        UserError: a tracker's package is not installed.
    """
    names = []
    for spec in tracker_specs(setting):
        logger = build_tracker(spec, name)
        _LOG[_class_name(spec)](logger, page, texts)
        logger.finalize("success")
        names.append(_class_name(spec).removesuffix("Logger"))
    return names


def _to_tensorboard(logger: Any, page: Path, texts: Sequence[Path]) -> None:
    for text in texts:  # it shows Markdown, and keeps no files
        logger.experiment.add_text(f"report/{text.stem}", text.read_text(encoding="utf-8"))
    logger.experiment.add_text("report/page", str(page.absolute()))


def _to_wandb(logger: Any, page: Path, texts: Sequence[Path]) -> None:
    import wandb

    artifact = wandb.Artifact(name=f"{logger.experiment.name}".replace(" ", "-"), type="report")
    for path in (page, *texts):
        artifact.add_file(str(path))
    logger.experiment.log_artifact(artifact)
    end_runs()


def _to_mlflow(logger: Any, page: Path, texts: Sequence[Path]) -> None:
    for path in (page, *texts):
        logger.experiment.log_artifact(logger.run_id, str(path))


def _to_trackio(logger: Any, page: Path, texts: Sequence[Path]) -> None:
    for path in (page, *texts):
        logger.log_file(path)


_LOG: dict[str, Callable[[Any, Path, Sequence[Path]], None]] = {
    "TensorBoardLogger": _to_tensorboard,
    "WandbLogger": _to_wandb,
    "MLFlowLogger": _to_mlflow,
    "TrackioLogger": _to_trackio,
}
