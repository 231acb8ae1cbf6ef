"""PASCAL VOC's average precision at IoU 0.5, by eleven points (2007) and by all points (2010 on)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

MIN_IOU = 0.5


def voc_mean_average_precision(
    detections: Sequence[tuple[Tensor, Tensor, Tensor]], truth: Sequence[tuple[Tensor, Tensor, Tensor]]
) -> tuple[float, float]:
    """Return VOC's mAP by eleven points and by all points, each in 0..1; NaN without an object.

    Every detection counts, and is compared with the object of its class that it overlaps most: it is right if their IoU
    is at least 0.5 and no better-scored one has that object, neither right nor wrong if the object is difficult (crowd),
    and wrong otherwise. Classes without an object are left out of the mean.

    Args:
        detections: for each image boxes [N, 4] (x1, y1, x2, y2), scores [N] and labels [N].
        truth: for each image boxes [M, 4], labels [M] and iscrowd [M].
    """
    overlaps, objects = [], []
    first = 0  # number of the image's first object in the whole set
    for (boxes, _, labels), (true_boxes, true_labels, _) in zip(detections, truth, strict=True):
        if len(true_boxes) and len(boxes):
            best = (box_iou(boxes.double(), true_boxes.double()) * (labels[:, None] == true_labels)).max(dim=1)
            overlaps.append(best.values)
            objects.append(first + best.indices)
        else:
            overlaps.append(torch.zeros(len(boxes), dtype=torch.float64))
            objects.append(torch.zeros(len(boxes), dtype=torch.long))
        first += len(true_boxes)
    iou, which = _joined(overlaps), _joined(objects)
    score, label = (_joined([image[i] for image in detections]) for i in (1, 2))
    true_label, crowd = (_joined([image[i] for image in truth]) for i in (1, 2))
    eleven, every = [], []
    for each in np.unique(true_label[crowd == 0]):
        mine = label == each
        order = np.argsort(-score[mine], kind="stable")
        hit, found = (values[mine][order] for values in (iou >= MIN_IOU, which))
        ignored = hit & (crowd[found] != 0 if len(crowd) else hit)
        right = np.zeros_like(hit)
        candidates = np.flatnonzero(hit)
        right[candidates[np.unique(found[candidates], return_index=True)[1]]] = True
        right = right[~ignored]
        recall = np.cumsum(right) / ((true_label == each) & (crowd == 0)).sum()
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        eleven.append(_eleven_points(recall, precision))
        every.append(_all_points(recall, precision))
    return (float(np.mean(eleven)), float(np.mean(every))) if eleven else (float("nan"), float("nan"))


def _joined(parts: Sequence[Tensor]) -> NDArray[Any]:
    joined: NDArray[Any] = torch.cat([part.reshape(-1) for part in parts]).cpu().numpy()
    return joined


def _eleven_points(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    return float(np.mean([precision[recall >= at].max(initial=0.0) for at in np.linspace(0.0, 1.0, 11)]))


def _all_points(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))
