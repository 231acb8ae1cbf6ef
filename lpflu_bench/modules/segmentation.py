"""Semantic segmentation: per-pixel cross-entropy, mean IoU and pixel accuracy from one confusion matrix."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from lpflu_bench.data.drawing import draw_masks, save_png
from lpflu_bench.errors import UserError
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.networks.segmenters import build_segmenter, segmenter_name
from lpflu_bench.outcomes import SegmentationOutcomes
from lpflu_bench.scores import Score

Batch = tuple[Tensor, Sequence[Tensor] | Tensor]


def class_ious(confusion: Tensor) -> Tensor:
    """Return each class's intersection over union, TP / (TP + FP + FN), from a confusion matrix.

    Args:
        confusion: [C, C] counts, rows labels and columns predictions.

    Returns:
        float64 [C]; NaN for a class that is neither in the labels nor in the predictions.
    """
    counts = confusion.cpu().double()  # float32 stops counting at 2^24 pixels, which is 8 images
    hits = counts.diagonal()
    return hits / (counts.sum(0) + counts.sum(1) - hits)


_OFFICIAL_CLASSES = 19  # of Cityscapes


def _class_score(class_name: str) -> str:
    return f"iou_{class_name.replace(' ', '_')}"


class SegmentationModule(BenchModule):
    """A segmentation network trained with cross-entropy and scored by mean IoU and pixel accuracy, in percent.

    Scores come from one confusion matrix over all pixels of the set that are not ignored, at the labels' own
    resolution: logits are resized bilinearly to the label's size, the class is the largest of the resized logits.

    - ``miou``: mean IoU over the classes; one that is neither in the labels nor in the predictions is left out.
    - ``miou_<C-1>`` (``miou_19``), with ``other_class``: the mean of the same IoUs without that class. A pixel of the
      other class that is taken for one of the C-1 still counts against that one.
    - ``miou_official``, where these are 19: the mean as Cityscapes' own script computes it: pixels of the other class
      count against none.
    - ``pixel_accuracy``: share of the pixels that are right.

    Args:
        num_classes: number of classes.
        architecture: ``original_unet`` (Ronneberger et al., 2015), or one of segmentation_models_pytorch: ``unet``, ``fpn``,
            ``deeplabv3plus``, ``segformer``, ...
        encoder_name: encoder of segmentation_models_pytorch, trained from scratch; null: ``vgg13_bn``, plain 3 x 3
            convolutions. ``resnet34`` has residual blocks.
        batch_norm: of ``original_unet``, which had none.
        ignore_index: mask value of pixels that are neither trained on nor scored.
        other_class: the class index of "everything else", where the task has such a class.
        per_class: report each class's IoU too.
        kwargs: see :class:`BenchModule`.

    Raises:
        UserError: ``other_class`` is not a class index.
    """

    kind: ClassVar[str] = "segmentation"

    def __init__(
        self,
        num_classes: int,
        architecture: str = "unet",
        encoder_name: str | None = None,
        batch_norm: bool = True,
        ignore_index: int = 255,
        other_class: int | None = None,
        per_class: bool = False,
        **kwargs: Any,
    ) -> None:
        if other_class is not None and not 0 <= other_class < num_classes:
            raise UserError(f"model.other_class is {other_class}: it must be null, or 0 to {num_classes - 1}")
        self._build = (num_classes, architecture, encoder_name, batch_norm)
        self._ignore_index = ignore_index
        super().__init__(**kwargs)
        self.other_class = other_class
        self.per_class = per_class

    @classmethod
    def declare_scores(cls, init_args: Mapping[str, Any], class_names: Sequence[str] = ()) -> tuple[Score, ...]:
        """Return the mean IoUs and the pixel accuracy; the classes' IoUs with ``per_class`` alone.

        None is a share of independent samples: neighbouring pixels are right or wrong together.
        """
        named = int(init_args["num_classes"]) - 1
        other = [Score(f"miou_{named}", "higher", f"mIoU ({named} classes)")]
        if named == _OFFICIAL_CLASSES:
            other.append(Score("miou_official", "higher", "Cityscapes' official mIoU"))
        by_class = [Score(_class_score(name), "higher", f"IoU of {name}") for name in class_names]
        return (
            Score("miou", "higher", "mIoU", main=True),
            *(() if init_args.get("other_class") is None else other),
            Score("pixel_accuracy", "higher", "pixel accuracy"),
            *(by_class if init_args.get("per_class") else ()),
        )

    @classmethod
    def name_network(cls, init_args: Mapping[str, Any]) -> str:
        """Return the architecture's and the encoder's name."""
        return segmenter_name(init_args["architecture"], init_args["encoder_name"], init_args["batch_norm"])

    def build_network(self) -> nn.Module:
        """Return the segmentation network."""
        num_classes, architecture, encoder_name, batch_norm = self._build
        return build_segmenter(num_classes, architecture=architecture, encoder_name=encoder_name, batch_norm=batch_norm)

    def build_metrics(self) -> MulticlassConfusionMatrix:
        """Return the confusion matrix, kept on the device and summed over the ranks."""
        return MulticlassConfusionMatrix(self._build[0], ignore_index=self._ignore_index, validate_args=False)

    def scores(self, computed: Any) -> dict[str, float | Tensor]:
        """Return the scores in percent of a confusion matrix [C, C]."""
        confusion: Tensor = computed
        ious = 100.0 * class_ious(confusion)
        scores: dict[str, float | Tensor] = {"miou": ious.nanmean()}
        if self.other_class is not None:
            named = [i for i in range(len(ious)) if i != self.other_class]
            scores[f"miou_{len(named)}"] = ious[named].nanmean()
            # As cityscapesScripts: what is labelled "other" counts against nobody, what is taken for it is still missed.
            if len(named) == _OFFICIAL_CLASSES:
                official = confusion.clone()
                official[self.other_class] = 0
                scores["miou_official"] = 100.0 * class_ious(official)[named].nanmean()
        scores["pixel_accuracy"] = 100.0 * confusion.diagonal().sum().double() / confusion.sum()
        if self.per_class:
            names = zip(self.class_names, ious.tolist(), strict=True)
            scores.update({_class_score(name): iou for name, iou in names if iou == iou})
        return scores

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, num_classes, H, W] of images [B, 3, H, W]."""
        logits: Tensor = self.network(self.to_memory_format(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the mean cross-entropy over the pixels of a batch that are not ignored (0 if all are)."""
        images, masks = batch
        total = F.cross_entropy(self(images), masks, ignore_index=self._ignore_index, reduction="sum")
        loss = total / (masks != self._ignore_index).sum().clamp(min=1)
        self.log_loss(loss, len(images))
        return loss

    def _resized_logits(self, images: Tensor, masks: Sequence[Tensor] | Tensor) -> Iterator[Tensor]:
        """Yield each image's logits at the size of its mask, float [C, H_i, W_i]."""
        # One image at a time: resized to 1024 x 2048 the logits of 20 classes are 168 MB an image.
        for one, mask in zip(self(images).float(), masks, strict=True):
            yield F.interpolate(one[None], size=mask.shape[-2:], mode="bilinear", align_corners=False)[0]

    def _score(self, batch: Batch, stage: str) -> None:
        images, masks = batch
        metric = self.stage_metric(stage)
        loss, pixels = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for logits, mask in zip(self._resized_logits(images, masks), masks, strict=True):
            predicted = logits.argmax(0)
            metric.update(predicted, mask)
            if stage == "test":
                self.note_outcome(self._confusion_entries(predicted, mask))
            if stage == "val":
                loss += F.cross_entropy(
                    logits[None], mask[None].long(), ignore_index=self._ignore_index, reduction="sum"
                )
                pixels += (mask != self._ignore_index).sum()
        if stage == "val":
            scored = max(int(pixels), 1)
            self.log_loss(loss / scored, scored)
        self.count_scored(len(images))

    def _confusion_entries(self, predicted: Tensor, mask: Tensor) -> tuple[Any, Any]:
        """Return the cells (label * C + prediction) of an image's confusion matrix that are not 0, and their counts."""
        scored = mask != self._ignore_index
        cells = torch.bincount(mask[scored].long() * self.num_classes + predicted[scored])
        there = cells.nonzero().flatten()
        return there.cpu().numpy(), cells[there].cpu().numpy()

    def join_outcomes(self, images: Sequence[Any]) -> SegmentationOutcomes:
        """Return each image's confusion matrix."""
        cells, counts = (np.concatenate([np.empty(0, np.int64), *(image[part] for image in images)]) for part in (0, 1))
        index = np.repeat(np.arange(len(images)), [len(cells) for cells, _ in images])
        other = -1 if self.other_class is None else self.other_class
        return SegmentationOutcomes(index, cells, counts, len(images), self.num_classes, other)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the validation metrics."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the test metrics."""
        self._score(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Tensor]:
        """Return the predicted class of each pixel at the labels' own resolution, a long [H_i, W_i] for each image."""
        return [logits.argmax(0) for logits in self._resized_logits(*batch)]

    def write_prediction(
        self, folder: Path, name: str, image: Tensor | None, prediction: Tensor, class_names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Write class indices as an 8-bit PNG, and their colours over the image; return each class's share."""
        save_png(prediction.to(torch.uint8)[None], folder / f"{name}_classes.png")
        if image is not None:
            save_png(draw_masks(image, prediction, class_names), folder / f"{name}.png")
        shares = torch.bincount(prediction.flatten().cpu(), minlength=len(class_names)) / prediction.numel()
        return [
            {"class": class_name, "share": round(share, 6)}
            for class_name, share in zip(class_names, shares.tolist(), strict=True)
            if share > 0
        ]
