"""Learning-rate schedules as a factor over (fractional) epochs, stepped with the optimizer."""

import math
from abc import ABC, abstractmethod

from lpflu_bench.errors import check_range


class EpochSchedule(ABC):
    """A factor on the initial learning rate as a function of the epoch, evaluated before every optimizer step.

    Written in epochs, a schedule stays the same when the batch size, the accumulation or the number of images changes.
    """

    @abstractmethod
    def __call__(self, epoch: float, max_epochs: float) -> float:
        """Return the factor.

        Args:
            epoch: optimizer steps done / optimizer steps in an epoch.
            max_epochs: length of the whole training in the same unit.
        """


class WarmupDecayHold(EpochSchedule):
    """Linear 0 -> 1, linear 1 -> ``final_factor``, then held there: the paper's schedule.

    At batch 128 on 50,000 images the corners are at steps 390 and 21450 of the paper's table, which are 1 and 55 epochs.

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

    def __call__(self, epoch: float, max_epochs: float = math.inf) -> float:
        """Return the factor at ``epoch``, however long the training is."""
        if epoch < self.warmup_epochs:
            return epoch / self.warmup_epochs
        if epoch >= self.decay_end_epoch:
            return self.final_factor
        progress = (epoch - self.warmup_epochs) / (self.decay_end_epoch - self.warmup_epochs)
        return 1.0 + (self.final_factor - 1.0) * progress


class OneCycle(EpochSchedule):
    """Half a cosine up to 1 and half a cosine down, over the whole training (Smith and Topin, 2018).

    The learning rate of torch's ``OneCycleLR``, which needs the number of steps instead; the momentum stays as it is.

    Args:
        peak: where the factor is 1, as a share of the training in (0, 1).
        initial_factor: at the start.
        final_factor: at the end.

    Raises:
        UserError: a value outside its range.
    """

    def __init__(self, peak: float = 0.3, initial_factor: float = 0.04, final_factor: float = 4e-6) -> None:
        check_range("model.schedule.peak", peak, above=0, below=1)
        check_range("model.schedule.initial_factor", initial_factor, at_least=0)
        check_range("model.schedule.final_factor", final_factor, at_least=0)
        self.peak = peak
        self.initial_factor = initial_factor
        self.final_factor = final_factor

    def __call__(self, epoch: float, max_epochs: float) -> float:
        """Return the factor at ``epoch``."""
        peak = self.peak * max_epochs
        if epoch < peak:
            return half_cosine(self.initial_factor, 1.0, epoch / peak)
        return half_cosine(1.0, self.final_factor, (epoch - peak) / (max_epochs - peak))


class WarmupCosine(EpochSchedule):
    """Linear 0 -> 1, then half a cosine down to ``final_factor`` at the end of the training (Loshchilov and Hutter, 2017).

    Args:
        warmup_epochs: length of the linear warm-up from 0; 0 for none. At most half of the training is used.
        final_factor: the factor at the end; at least 0.

    Raises:
        UserError: a negative value.
    """

    def __init__(self, warmup_epochs: float = 5.0, final_factor: float = 0.0) -> None:
        check_range("model.schedule.warmup_epochs", warmup_epochs, at_least=0)
        check_range("model.schedule.final_factor", final_factor, at_least=0)
        self.warmup_epochs = warmup_epochs
        self.final_factor = final_factor

    def __call__(self, epoch: float, max_epochs: float) -> float:
        """Return the factor at ``epoch``."""
        warmup = min(self.warmup_epochs, max_epochs / 2)
        if epoch < warmup:
            return epoch / warmup
        return half_cosine(1.0, self.final_factor, (epoch - warmup) / (max_epochs - warmup))


def half_cosine(start: float, end: float, progress: float) -> float:
    """Return the value between ``start`` and ``end`` that half a cosine has at ``progress``, which is cut to 0..1."""
    return end + (start - end) * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2.0
