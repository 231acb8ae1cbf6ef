"""COCO's mean average precision, with its state on the CPU and one exchange between ranks."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_convert

from lpflu_bench.modules.ranks import in_order
from lpflu_bench.modules.voc_ap import voc_mean_average_precision

Backend = Literal["faster_coco_eval", "pycocotools"]
Boxes = dict[str, Tensor]


def to_cpu(items: Sequence[Boxes], names: Sequence[str]) -> list[Boxes]:
    """Copy the named tensors of a batch's dicts to the CPU: one copy a name, not one for each image and name.

    Args:
        items: a dict of tensors [N_i, ...] for each image.
        names: the keys that are copied.
    """
    counts = [len(item[names[0]]) for item in items]
    columns = [torch.split(torch.cat([item[name] for item in items]).cpu(), counts) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


class BoxMAP(MeanAveragePrecision):
    """torchmetrics' COCO mAP of boxes, right under several ranks, with VOC's mAP beside it.

    It stays a metric over the whole set: updated by batch, computed once. For each image and class the 100 best
    detections count, as in COCO's own evaluation.

    torchmetrics exchanges list states one tensor at a time, which takes as many calls as there are images, never
    returns where ranks have different numbers of images (test sets are not padded here), and fails for tensors on the
    CPU under nccl. Here every rank sends a list in one object.

    Args:
        backend: ``faster_coco_eval``, or ``pycocotools``: the same numbers, several times slower.
        class_metrics: compute each class's mAP too.
    """

    def __init__(self, backend: Backend = "faster_coco_eval", class_metrics: bool = False) -> None:
        super().__init__(
            iou_type="bbox",
            # torchmetrics rounds these to float32: a recall of exactly 0.1 then misses the threshold 0.1,
            # and the scores differ from those of COCO itself from the fourth digit on.
            iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
            rec_thresholds=np.linspace(0.0, 1.0, 101).tolist(),
            backend=backend,
            class_metrics=class_metrics,
        )
        self.warn_on_many_detections = False  # SSDLite returns up to 300 an image

    def update(self, preds: Sequence[Boxes], target: Sequence[Boxes]) -> None:
        """Add a batch.

        Args:
            preds: for each image ``boxes`` [N, 4] (x1, y1, x2, y2), ``scores`` [N], ``labels`` [N].
            target: for each image ``boxes`` [M, 4], ``labels`` [M], ``iscrowd`` [M].
        """
        super().update(to_cpu(preds, ("boxes", "scores", "labels")), to_cpu(target, ("boxes", "labels", "iscrowd")))

    def compute(self) -> dict[str, Tensor]:
        """Return COCO's scores, and VOC's ``voc_map_11`` and ``voc_map``, each in 0..1 (COCO's -1: nothing to find)."""
        computed: dict[str, Tensor] = super().compute()
        found, true = (  # torchmetrics keeps x, y, width, height
            [box_convert(boxes.reshape(-1, 4), "xywh", "xyxy") for boxes in states]
            for states in (self.detection_box, self.groundtruth_box)
        )
        detections = list(zip(found, self.detection_scores, self.detection_labels, strict=True))
        truth = list(zip(true, self.groundtruth_labels, self.groundtruth_crowds, strict=True))
        eleven, every = voc_mean_average_precision(detections, truth)
        return computed | {"voc_map_11": torch.tensor(eleven), "voc_map": torch.tensor(every)}

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any = None) -> None:
        for name in self._reductions:
            # In the data set's order, detections of equal score rank as they do in one process.
            setattr(self, name, in_order(getattr(self, name), process_group or self.process_group))
