"""What Lightning, torch and the user's own classes refuse, and what they should have: each in one line."""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger

from lpflu_bench.errors import UserError, check_range, one_line
from lpflu_bench.text import nearest

_HINTS = {
    "gpu backend": "there is no GPU here: pass --trainer.accelerator cpu, or run on a machine with one",
    "CUDAAccelerator": "there is no GPU here: pass --trainer.accelerator cpu, or run on a machine with one",
    "wandb login": "W&B has no API key: run `wandb login`, or set WANDB_MODE=offline",
}
_AT_LEAST = {  # Lightning takes lower ones, and then trains nothing, or stops with an error of its own
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 0,
    "num_nodes": 1,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
}
_ABOVE_ZERO = {
    "fit": ("gradient_clip_val", "limit_train_batches", "val_check_interval"),
    "validate": ("limit_val_batches",),
    "test": ("limit_test_batches",),
    "predict": ("limit_predict_batches",),
}
_MAX_SEED = 2**32 - 1


def check_settings(command: str, config: Mapping[str, Any]) -> None:
    """Check the numbers of the trainer and the seed.

    Raises:
        UserError: one is outside its range, or the run would train nothing.
    """
    seed = config["seed_everything"]
    if isinstance(seed, bool):
        raise UserError("seed_everything must be a whole number: it names the run, and pairs it with others")
    check_range("seed_everything", seed, at_least=0, at_most=_MAX_SEED)
    trainer = config["trainer"]
    for name, least in _AT_LEAST.items():
        if isinstance(trainer.get(name), int):
            check_range(f"trainer.{name}", trainer[name], at_least=least)
    for name in _ABOVE_ZERO[command]:
        if isinstance(trainer.get(name), int | float):
            check_range(f"trainer.{name}", trainer[name], above=0)
    for name in ("max_epochs", "max_steps"):
        if command == "fit" and trainer.get(name) not in (None, -1):
            check_range(f"trainer.{name}", trainer[name], at_least=1)


def check_monitors(callbacks: Iterable[Callback], schedule: Any, logged: Iterable[str]) -> None:
    """Check that callbacks and the schedule watch scores that are logged.

    Raises:
        UserError: names the score, and the nearest that is logged.
    """
    names = list(logged)
    for watcher in [*callbacks, schedule]:
        arguments = getattr(watcher, "keywords", None) or {}  # a schedule is still a partial
        monitor = getattr(watcher, "monitor", None) or arguments.get("monitor")
        if isinstance(monitor, str) and monitor not in names:
            who = type(watcher).__name__ if isinstance(watcher, Callback) else "model.schedule"
            raise UserError(f"{who}: monitor '{monitor}' is not a logged score{nearest(monitor, names)}")


@contextmanager
def in_one_line(key: str) -> Iterator[None]:
    """Turn whatever a library raises about settings into one line that names ``key``.

    Raises:
        UserError: that line.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        raise UserError(f"{key}: {_gist(error)}") from error


@contextmanager
def running() -> Iterator[None]:
    """Turn what is refused only once a run has been set up into one line; any other exception keeps its trace.

    Raises:
        UserError: the trainer's settings contradict one another, the optimizer or the schedule refuses to take a step, or
            there is too little memory.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"trainer: {_gist(error)}") from error
    except torch.OutOfMemoryError as error:
        raise UserError("out of GPU memory: lower data.batch_size, or pass --trainer.precision bf16-mixed") from error
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        who = _stepping(error)
        if who is None or isinstance(error, torch.AcceleratorError):
            raise
        raise UserError(f"{who} cannot take a step: {_gist(error)}; change its settings") from error


def _stepping(error: BaseException) -> str | None:
    """Return whose step raised an error: the optimizer's or the schedule's, if it was torch's own; else None."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = str(frame.f_globals.get("__name__"))
    if not module.startswith("torch.optim."):
        return None
    key = "model.schedule" if module == "torch.optim.lr_scheduler" else "model.optimizer"
    stepping = frame.f_locals.get("self")
    return key if stepping is None else f"{key}: {type(stepping).__name__}"


def construct(class_type: type[Any], *args: Any, **kwargs: Any) -> Any:
    """Build a class that a configuration names.

    Raises:
        UserError: its constructor refuses the settings, or lacks a package. Whatever else a class of ours raises is a
            fault of ours, and keeps its trace.
    """
    try:
        return class_type(*args, **kwargs)
    except UserError:
        raise
    except ImportError as error:
        if issubclass(class_type, Logger):
            name = class_type.__name__
            raise UserError(f"trainer.logger: {name} is not installed: pip install 'lpflu-bench[loggers]'") from error
        raise UserError(f"{class_type.__name__}: {_gist(error)}") from error
    except Exception as error:
        if class_type.__module__.startswith("lpflu_bench.") and not isinstance(error, ValueError):
            raise
        raise UserError(f"{class_type.__name__}: {_gist(error)}") from error


def _gist(error: BaseException) -> str:
    text = one_line(error) or type(error).__name__
    hint = next((hint for sign, hint in _HINTS.items() if sign in text), None)
    return hint or text
