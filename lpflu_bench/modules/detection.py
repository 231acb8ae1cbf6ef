"""Object detection: SSDLite with SSD's losses, COCO mAP."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lpflu_bench.data.drawing import draw_predictions, save_png
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.modules.box_map import Backend, BoxMAP, to_cpu
from lpflu_bench.modules.box_matches import detection_outcomes, match_image
from lpflu_bench.networks.detectors import SSDLITE, build_detector
from lpflu_bench.outcomes import DetectionOutcomes
from lpflu_bench.scores import Score

Boxes = dict[str, Tensor]
Batch = tuple[Tensor, list[Boxes]]


_WHOLE_SET = ("map", "map_50", "map_75", "voc_map_11", "voc_map")
_SIZES = ("small", "medium", "large")


class DetectionModule(BenchModule):
    """A detector in one stage, SSDLite by default, scored by COCO's mean average precision, in percent.

    - ``map``: mean over the classes and the IoU thresholds 0.50, 0.55, ... 0.95; ``map_50``, ``map_75`` at one of them.
      Classes without an object in the test set are left out. Objects marked ``iscrowd`` are neither to be found nor
      wrong to be found.
    - ``map_small``, ``map_medium``, ``map_large``: ``map`` of objects whose boxes are below 32 x 32, below 96 x 96, and
      above, in pixels of the original image.
    - ``voc_map_11``, ``voc_map``: PASCAL VOC's own mean average precision at IoU 0.5, by eleven points (its 2007 protocol)
      and by all points (2010 on).
    - ``map_<class>``, with ``per_class``: each class's ``map``.

    Boxes are scored in the pixels of the original images, as COCO's evaluation has them. Stretching an image's axes
    does not change any IoU, so these scores are the same in the network's pixels.

    The network takes images of the size the data module gives them (the paper and SSDLite's name: 320); an SSD's default
    boxes are relative to it.

    Args:
        num_classes: number of classes, without the background.
        network: ``ssdlite320_mobilenet_v3_large``, or another that ``lpflu-bench networks`` lists.
        reduced_tail: SSDLite must be told whether its last stage has half the channels (1.62 M instead of 2.97 M feature
            parameters), which torchvision does silently when no pretrained backbone is loaded.
        per_class: report each class's mAP too.
        backend: what computes mAP: ``faster_coco_eval``, or ``pycocotools`` (the same numbers, slower).
        kwargs: see :class:`BenchModule`.
    """

    kind: ClassVar[str] = "detection"
    capturable: ClassVar[bool] = False

    def __init__(
        self,
        num_classes: int,
        network: str = SSDLITE,
        reduced_tail: bool | None = None,
        per_class: bool = False,
        backend: Backend = "faster_coco_eval",
        **kwargs: Any,
    ) -> None:
        self._build = (num_classes, network, reduced_tail)
        self._metric_settings: tuple[Backend, bool] = (backend, per_class)
        super().__init__(**kwargs)

    @classmethod
    def declare_scores(cls, init_args: Mapping[str, Any], class_names: Sequence[str] = ()) -> tuple[Score, ...]:
        """Return the mAPs, those of the classes with ``per_class`` alone."""
        by_class = [Score(f"map_{name}", "higher", f"mAP of {name}") for name in class_names]
        return (
            Score("map", "higher", "mAP", main=True),
            Score("map_50", "higher", "mAP@50"),
            Score("map_75", "higher", "mAP@75"),
            *(Score(f"map_{size}", "higher", f"mAP, {size} objects") for size in _SIZES),
            Score("voc_map_11", "higher", "VOC mAP (11 points)"),
            Score("voc_map", "higher", "VOC mAP (all points)"),
            *(by_class if init_args.get("per_class") else ()),
        )

    @classmethod
    def name_network(cls, init_args: Mapping[str, Any]) -> str:
        """Return the detector's name."""
        return str(init_args["network"])

    def build_network(self) -> nn.Module:
        """Return the detector, with default boxes and box arithmetic in float32 under any precision."""
        num_classes, name, reduced_tail = self._build
        network = build_detector(name, num_classes + 1, reduced_tail=reduced_tail)
        # torchvision computes default boxes and decodes predictions in the features' type. bfloat16 has 8 bits: at 320
        # pixels that would round every box to 2 pixels.
        network.get_submodule("anchor_generator").register_forward_pre_hook(_default_boxes_in_float32)
        network.get_submodule("head").register_forward_hook(_predictions_in_float32)
        return network

    def build_metrics(self) -> BoxMAP:
        """Return COCO mAP."""
        backend, per_class = self._metric_settings
        return BoxMAP(backend, class_metrics=per_class)

    def scores(self, computed: dict[str, Any]) -> dict[str, float | Tensor]:
        """Return mAPs in percent; NaN where there was nothing to find, and no entry for a class without objects."""
        scores: dict[str, float | Tensor] = {name: _percent(computed[name]) for name in _WHOLE_SET}
        # A set may have no object of a size: COCO's -1.
        scores |= {name: _percent(computed[name]) for size in _SIZES if computed[name := f"map_{size}"] >= 0}
        if self._metric_settings[1]:
            names = self.class_names
            values = zip(computed["classes"].reshape(-1), computed["map_per_class"].reshape(-1), strict=True)
            # COCO's -1 says that the class has no object.
            scores |= {f"map_{names[int(label) - 1]}": _percent(value) for label, value in values if value >= 0}
        return scores

    def forward(self, images: Tensor, targets: Sequence[Boxes] | None = None) -> Any:
        """Return a dict of losses in training mode; else dicts of ``boxes``, ``scores``, ``labels``, best first.

        Args:
            images: [B, 3, H, W] in 0..1.
            targets: in training mode ``boxes`` [N, 4] and ``labels`` [N] for each image.
        """
        height, width = images.shape[-2:]
        # Nothing is to be resized: the data module has done it.
        self.network.get_submodule("transform").fixed_size = (width, height)  # type: ignore[assignment]
        return self.network(self.to_memory_format(images), targets)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the sum of the detector's box and class losses."""
        images, targets = batch
        losses: dict[str, Tensor] = self(images, targets)
        loss = torch.stack(list(losses.values())).sum()
        self.log_loss(loss, len(images))
        return loss

    def _log_validation_loss(self, batch: Batch) -> None:
        """Log SSD's losses on the objects that are to be found, with batch norm and dropout as in evaluation."""
        images, targets = batch
        found = [{name: item[name][item["iscrowd"] == 0] for name in ("boxes", "labels")} for item in targets]
        self.network.training = True  # of the network alone, not of its parts: it returns losses then
        try:
            losses: dict[str, Tensor] = self(images, found)
        finally:
            self.network.training = False
        self.log_loss(torch.stack(list(losses.values())).sum(), len(images))

    def _detect(self, batch: Batch) -> tuple[list[Boxes], list[Boxes]]:
        """Return predictions and targets with their boxes in the original images' pixels."""
        images, targets = batch
        height, width = images.shape[-2:]
        frame = torch.tensor([width, height, width, height], device=images.device)
        scales = torch.stack([target["size"] for target in targets]).flip(1).repeat(1, 2) / frame
        predictions, truth = (
            [{**item, "boxes": item["boxes"] * scale} for item, scale in zip(items, scales, strict=True)]
            for items in (self(images), targets)
        )
        return predictions, truth

    def _score(self, batch: Batch, stage: str) -> None:
        if stage == "val":
            self._log_validation_loss(batch)
        predictions, targets = self._detect(batch)
        self.stage_metric(stage).update(predictions, targets)
        if stage == "test":
            names = ("boxes", "scores", "labels"), ("boxes", "labels", "iscrowd")
            on_cpu = (to_cpu(items, keys) for items, keys in zip((predictions, targets), names, strict=True))
            for prediction, target in zip(*on_cpu, strict=True):
                self.note_outcome(match_image(prediction, target))
        self.count_scored(len(batch[0]))

    def join_outcomes(self, images: Sequence[Any]) -> DetectionOutcomes:
        """Return each image's matches."""
        return detection_outcomes(images)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the validation metrics."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the test metrics."""
        self._score(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Boxes]:
        """Return for each image ``boxes`` in the original image's pixels, ``scores``, ``labels`` and ``image_id``."""
        predictions, targets = self._detect(batch)
        return [{**p, "image_id": t["image_id"]} for p, t in zip(predictions, targets, strict=True)]

    def write_prediction(
        self, folder: Path, name: str, image: Tensor | None, prediction: Boxes, class_names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Draw the boxes of at least 30 % on the image; return a row for each box, best first."""
        if image is not None:
            save_png(draw_predictions(image, prediction, class_names), folder / f"{name}.png")
        columns = (prediction[name].tolist() for name in ("labels", "scores", "boxes"))
        return [
            {
                "class": class_names[label - 1],
                "score": round(score, 6),
                **{side: round(value, 2) for side, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)},
            }
            for label, score, box in zip(*columns, strict=True)
        ]


def _percent(value: Tensor) -> float:
    return 100.0 * float(value) if value >= 0 else float("nan")


def _default_boxes_in_float32(module: nn.Module, inputs: tuple[Any, list[Tensor]]) -> tuple[Any, list[Tensor]]:
    images, features = inputs
    # Their shapes, type and device are all that is read.
    return images, [feature.new_empty((), dtype=torch.float32).expand(feature.shape) for feature in features]


def _predictions_in_float32(module: nn.Module, inputs: Any, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: output.float() for name, output in outputs.items()}
