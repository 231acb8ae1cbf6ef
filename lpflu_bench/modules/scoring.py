"""What the three kinds of task share in scoring: losses, metrics and outcomes, over an epoch and over all ranks."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lpflu_bench.errors import UserError
from lpflu_bench.modules.loss_mean import LossMean
from lpflu_bench.modules.ranks import in_order
from lpflu_bench.outcomes import Outcomes
from lpflu_bench.scores import Score


class ScoringModule(LightningModule, ABC):
    """A module that declares its scores, updates its metrics in the steps, and computes them once an epoch.

    A subclass gives :meth:`declare_scores`, :meth:`build_metrics`, :meth:`scores` and :meth:`join_outcomes`; its steps
    call :meth:`log_loss`, :meth:`stage_metric`, :meth:`count_scored` and :meth:`note_outcome`.
    """

    def build_scoring(self) -> None:
        """Build metrics and losses; the end of a constructor, whose hyperparameters they need."""
        self.metrics = nn.ModuleDict({f"{stage}_metrics": self.build_metrics() for stage in ("val", "test")})
        self.losses = nn.ModuleDict({name: LossMean() for name in ("train_loss", "val_loss")})
        self.num_scored = 0
        """Samples scored on all ranks in the last validation or test epoch."""
        self.test_scores: dict[str, float] = {}
        """Scores of the last test epoch; Lightning's log rounds them to single precision."""
        self._scored_here = 0
        self.outcomes: Outcomes | None = None
        """What the last test epoch said of each image, in the data set's order; the same on all ranks."""
        self._outcomes_here: list[Any] = []

    # --- what a kind provides -----------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def declare_scores(cls, init_args: Mapping[str, Any], class_names: Sequence[str] = ()) -> tuple[Score, ...]:
        """Return the scores that a module with these arguments reports, exactly one of them the main one.

        Nothing is built: a study knows its scores before anything runs.

        Args:
            init_args: of the constructor; what is left out has its default.
            class_names: of the data, for scores by class; those are not declared while it is empty.
        """

    @abstractmethod
    def build_metrics(self) -> Metric | MetricCollection:
        """Return the metric of one stage: updated in every step, computed once at the end of the epoch."""

    @abstractmethod
    def scores(self, computed: dict[str, Any]) -> dict[str, float | Tensor]:
        """Turn what the metric computed into values of the declared scores; one that is undefined may be left out."""

    @abstractmethod
    def join_outcomes(self, images: Sequence[Any]) -> Outcomes:
        """Make the test's outcomes of what :meth:`note_outcome` was given for each image, in the data set's order."""

    @property
    def num_classes(self) -> int:
        """Number of classes of the task; the data module must have the same."""
        return int(self.hparams["num_classes"])

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; their indices where the data module has none."""
        names = getattr(getattr(self._trainer, "datamodule", None), "class_names", None)
        return list(names or map(str, range(self.num_classes)))

    @property
    def declared_scores(self) -> tuple[Score, ...]:
        """The scores that this module reports."""
        return self.declare_scores(self.hparams, self.class_names)

    @property
    def logged_scores(self) -> list[str]:
        """Names that a callback or a schedule can watch in ``fit``; a subclass that logs more adds to them."""
        return ["train_loss", "val_loss", *(f"val_{score.name}" for score in self.declared_scores)]

    # --- what its steps call ------------------------------------------------------------------------------------

    def log_loss(self, loss: Tensor, batch_size: int) -> None:
        """Log the training or validation loss: its mean over the epoch and over all ranks.

        Args:
            loss: of a batch, a mean.
            batch_size: what the mean is over: its weight.
        """
        name = "train_loss" if self.training else "val_loss"
        # A metric, since Lightning's own mean divides by the ranks' mean number of samples, rounded down to a whole one.
        mean = cast(LossMean, self.losses[name])
        mean.update(loss.detach(), batch_size)
        self.log(name, mean, on_step=False, on_epoch=True, prog_bar=self.training)

    def stage_metric(self, stage: str) -> Any:
        """Return the metric of ``val`` or ``test``."""
        return self.metrics[f"{stage}_metrics"]

    def count_scored(self, samples: int) -> None:
        """Count samples that this rank has scored in the running evaluation."""
        self._scored_here += samples

    def note_outcome(self, image: Any) -> None:
        """Keep what the test says of the next image of this rank; small, on the CPU, and picklable."""
        self._outcomes_here.append(image)

    # --- an evaluation's epoch ----------------------------------------------------------------------------------

    def _start_scoring(self) -> None:
        self._scored_here = 0
        self._outcomes_here = []

    def _finish_scoring(self, stage: str) -> None:
        metric = self.stage_metric(stage)
        # `compute` gathers the states of all ranks, so the scores are those of the whole set on every rank.
        scores = {name: float(value) for name, value in self.scores(metric.compute()).items()}
        metric.reset()
        count = torch.tensor(self._scored_here, device=self.device)
        self.num_scored = int(self.trainer.strategy.reduce(count, reduce_op="sum"))
        if stage == "test":
            self.outcomes = self.join_outcomes(in_order(self._outcomes_here))
            self.test_scores = scores
            self._outcomes_here = []
        if stage == "test" and all(math.isnan(value) for value in scores.values()):
            raise UserError(
                f"the test set has nothing to score: in its {self.num_scored} images every pixel is ignored, or there "
                "is no object of the classes; is it a test set without labels?"
            )
        declared = {score.name: score for score in self.declared_scores}
        for name, value in scores.items():
            # rank_zero_only would leave the other ranks without the value; it is the same on all of them.
            self.log(f"{stage}_{name}", value, prog_bar=declared[name].main, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self._start_scoring()

    def on_test_epoch_start(self) -> None:
        """Start counting."""
        self._start_scoring()

    def on_validation_epoch_end(self) -> None:
        """Compute and log the validation scores once."""
        self._finish_scoring("val")

    def on_test_epoch_end(self) -> None:
        """Compute and log the test scores once."""
        self._finish_scoring("test")
