"""Learning-rate schedules as a factor over (fractional) epochs, stepped with the optimizer."""

from abc import ABC, abstractmethod

from lpflu_bench.errors import check_range


class EpochSchedule(ABC):
    """A factor on the initial learning rate as a function of the epoch, evaluated before every optimizer step.

    Written in epochs, a schedule stays the same when the batch size, the accumulation or the number of images changes.
    """

    @abstractmethod
    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch`` = optimizer steps done / optimizer steps in an epoch."""


class WarmupDecayHold(EpochSchedule):
    """Linear 0 -> 1, linear 1 -> ``final_factor``, then held there: the paper's schedule.

    At batch 128 on 50,000 images the corners lie at steps 390 and 21450 of the paper's table, which are 1 and 55 epochs.

    Args:
        warmup_epochs: length of the linear warm-up from 0; 0 for none.
        decay_end_epoch: where the linear decay ends; later than the warm-up.
        final_factor: the factor from there on; at least 0.

    Raises:
        ValueError: the corners are not in order.
        UserError: a negative factor.
    """

    def __init__(self, warmup_epochs: float = 1.0, decay_end_epoch: float = 55.0, final_factor: float = 0.01) -> None:
        if not 0 <= warmup_epochs < decay_end_epoch:
            raise ValueError(
                f"schedule: 0 <= warmup_epochs < decay_end_epoch is needed, got {warmup_epochs} and {decay_end_epoch}"
            )
        check_range("model.schedule.final_factor", final_factor, at_least=0)
        self.warmup_epochs = warmup_epochs
        self.decay_end_epoch = decay_end_epoch
        self.final_factor = final_factor

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        if epoch < self.warmup_epochs:
            return epoch / self.warmup_epochs
        if epoch >= self.decay_end_epoch:
            return self.final_factor
        progress = (epoch - self.warmup_epochs) / (self.decay_end_epoch - self.warmup_epochs)
        return 1.0 + (self.final_factor - 1.0) * progress
