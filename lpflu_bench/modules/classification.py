"""Image classification: cross-entropy, top-1 and top-5 error."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassCalibrationError, MulticlassStatScores

from lpflu_bench.errors import check_range
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.modules.loss_mean import LossMean
from lpflu_bench.modules.spec import Plain, Spec, plain
from lpflu_bench.networks.classifiers import build_classifier, classifier_name
from lpflu_bench.outcomes import ClassificationOutcomes
from lpflu_bench.scores import Score

Batch = tuple[Tensor, Tensor]


class _LogLikelihood(LossMean):
    """The mean over images of minus the logarithm of the true class's probability."""

    def update(self, logits: Tensor, targets: Tensor) -> None:  # type: ignore[override]
        """Add a batch of logits [B, C] with their classes [B]."""
        super().update(F.cross_entropy(logits, targets), len(targets))


class ClassificationModule(BenchModule):
    """A classifier trained with cross-entropy and scored by its top-1 and top-5 error in percent of the images.

    Beside them ``nll``, the mean negative log-likelihood of the true class in nats, and ``ece``, the expected calibration
    error in percent (15 bins): the mean distance between confidence and accuracy.

    Args:
        network: a torchvision classifier by name (``regnet_y_800mf``, ``efficientnet_b0``, ...), one of timm's
            (``timm/convnext_atto``), ``resnet8`` ... of this project, or a class (``my_net.py:Net``); or ``{class_path: ...,
            init_args: {...}}`` with any of these. ``lpflu-bench networks`` lists the names.
        num_classes: number of classes.
        downsamplings: number of final downsampling stages to keep (the paper: 3, so that 32 x 32 pixels become 4 x 4
            features); null keeps the network as it is.
        label_smoothing: share of each training target that is spread over all classes, in (0, 1); null: none.
        kwargs: see :class:`BenchModule`.
    """

    kind: ClassVar[str] = "classification"
    attackable: ClassVar[bool] = True

    def __init__(
        self,
        network: Spec | Plain,
        num_classes: int,
        downsamplings: int | None = None,
        label_smoothing: float | None = None,
        **kwargs: Any,
    ) -> None:
        if label_smoothing is not None:
            check_range("model.label_smoothing", label_smoothing, above=0, below=1)
        self._label_smoothing = label_smoothing or 0.0
        network = plain(network)
        self._build = (network, num_classes, downsamplings)
        super().__init__(**kwargs)

    @classmethod
    def declare_scores(cls, init_args: Mapping[str, Any], class_names: Sequence[str] = ()) -> tuple[Score, ...]:
        """Return top-1 and top-5 error, and how far the probabilities can be believed."""
        return (
            Score("top1_error", "lower", "top-1 error", share=True, main=True),
            Score("top5_error", "lower", "top-5 error", share=True),
            Score("nll", "lower", "negative log-likelihood", unit=""),
            Score("ece", "lower", "expected calibration error"),
        )

    @classmethod
    def name_network(cls, init_args: Mapping[str, Any]) -> str:
        """Return the classifier's name."""
        return classifier_name(init_args["network"])

    def build_network(self) -> nn.Module:
        """Return the classifier."""
        network, num_classes, downsamplings = self._build
        return build_classifier(network, num_classes, downsamplings=downsamplings)

    def build_metrics(self) -> MetricCollection:
        """Return how many images are right, first and among the first five (with fewer classes, among all)."""
        num_classes = self._build[1]
        errors = {
            f"top{k}": MulticlassStatScores(
                num_classes, top_k=min(k, num_classes), average="micro", validate_args=False
            )
            for k in (1, 5)
        }
        calibration = MulticlassCalibrationError(num_classes, n_bins=15, norm="l1", validate_args=False)
        return MetricCollection({**errors, "nll": _LogLikelihood(), "ece": calibration}, compute_groups=False)

    def scores(self, computed: dict[str, Any]) -> dict[str, float | Tensor]:
        """Return errors in percent, the negative log-likelihood in nats, and the calibration error in percent.

        Errors are computed from counts: an accuracy in single precision is rounded.
        """
        scores: dict[str, float | Tensor] = {}
        for name in ("top1", "top5"):
            right, _, _, _, images = computed[name].tolist()
            scores[f"{name}_error"] = 100.0 * (images - right) / images
        return scores | {"nll": float(computed["nll"]), "ece": 100.0 * float(computed["ece"])}

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, num_classes] of images [B, 3, H, W]."""
        logits: Tensor = self.network(self.to_memory_format(images))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of a batch whose targets are classes [B], or shares of them [B, num_classes]."""
        images, targets = batch
        loss = F.cross_entropy(self(images), targets, label_smoothing=self._label_smoothing)
        self.log_loss(loss, len(images))
        return loss

    def _score(self, batch: Batch, stage: str) -> None:
        images, targets = batch
        if stage == "test":
            images = self.attack(images, targets, self._summed_loss)
        logits = self(images).float()
        if stage == "val":
            self.log_loss(F.cross_entropy(logits, targets), len(images))
        else:
            # As torchmetrics ranks them: the first of equal ones is the largest.
            top1 = logits.argmax(1) == targets
            top5 = (logits.topk(min(5, logits.shape[1]), dim=1).indices == targets[:, None]).any(1)
            for correct in torch.stack([top1, top5], dim=1).tolist():
                self.note_outcome(correct)
        self.stage_metric(stage).update(logits, targets)
        self.count_scored(len(images))

    def _summed_loss(self, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self(images).float(), targets, reduction="sum")

    def join_outcomes(self, images: Sequence[Any]) -> ClassificationOutcomes:
        """Return which images are right."""
        top1, top5 = np.array(images, bool).reshape(-1, 2).T
        return ClassificationOutcomes({"top1": top1, "top5": top5})

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the validation metrics."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the test metrics."""
        self._score(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return class probabilities [B, num_classes]."""
        logits: Tensor = self(batch[0])
        return logits.float().softmax(dim=1)

    def write_prediction(
        self, folder: Path, name: str, image: Tensor | None, prediction: Tensor, class_names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return a row with the five most probable classes and their probabilities."""
        probabilities, classes = prediction.topk(min(5, len(prediction)))
        row: dict[str, Any] = {}
        for place, (index, probability) in enumerate(
            zip(classes.tolist(), probabilities.tolist(), strict=True), start=1
        ):
            row |= {f"class_{place}": class_names[index], f"probability_{place}": round(probability, 6)}
        return [row]
