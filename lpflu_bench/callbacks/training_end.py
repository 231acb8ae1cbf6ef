"""How a training ended: in full, or what is left of it."""

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Timer


def untrained(trainer: Trainer, epochs: int) -> str | None:
    """Return what is left of the configured training, if anything."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return "fast_dev_run"
    if trainer.max_steps > 0:
        done = trainer.global_step >= trainer.max_steps
        return None if done else f"{trainer.global_step} of {trainer.max_steps} steps"
    if trainer.max_epochs is None or trainer.max_epochs < 0 or epochs >= max(trainer.max_epochs, 1):
        return None
    return f"{epochs} of {trainer.max_epochs} epochs"


def out_of_time(trainer: Trainer) -> bool:
    """Return whether ``max_time`` ended the training."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    return any((left := timer.time_remaining()) is not None and left <= 0 for timer in timers)
