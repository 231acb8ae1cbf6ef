"""Which detections found an object, image by image, as COCO's evaluation matches them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torchvision.ops import box_convert

from lpflu_bench.outcomes import THRESHOLDS, DetectionOutcomes

MAX_DETECTIONS = 100
"""Of an image and class, the best of which are looked at."""
_BITS = 1 << np.arange(len(THRESHOLDS))

Floats = npt.NDArray[np.float64]


class ClassMatches(NamedTuple):
    """The detections of one class in one image, best first."""

    label: int
    scores: npt.NDArray[np.float32]
    matched: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.int64]
    objects: int


def match_image(prediction: dict[str, Tensor], target: dict[str, Tensor]) -> list[ClassMatches]:
    """Match an image's detections with its objects, for each class that has either.

    Args:
        prediction: ``boxes`` [N, 4] (x1, y1, x2, y2), ``scores`` [N], ``labels`` [N]; on the CPU.
        target: ``boxes`` [M, 4], ``labels`` [M], ``iscrowd`` [M]; on the CPU.
    """
    boxes, objects = (
        box_convert(item["boxes"].float(), "xyxy", "xywh").double().numpy() for item in (prediction, target)
    )
    scores = prediction["scores"].float().numpy()
    labels, object_labels = (item["labels"].numpy() for item in (prediction, target))
    crowd = target["iscrowd"].numpy().astype(bool)
    found = []
    for label in np.union1d(labels, object_labels):
        mine = np.flatnonzero(labels == label)
        mine = mine[np.argsort(-scores[mine], kind="stable")][:MAX_DETECTIONS]
        theirs = np.flatnonzero(object_labels == label)
        theirs = theirs[np.argsort(crowd[theirs], kind="stable")]  # what can be found comes first
        is_crowd = crowd[theirs]
        overlaps = _overlaps(boxes[mine], objects[theirs], is_crowd)
        matched, ignored = _match(overlaps, is_crowd)
        found.append(ClassMatches(int(label), scores[mine], matched, ignored, int((~is_crowd).sum())))
    return found


def _overlaps(detections: Floats, objects: Floats, crowd: npt.NDArray[np.bool_]) -> Floats:
    """Return IoUs [D, G] of boxes (x, y, w, h); of a crowd the share of the detection that is inside it."""
    a, b = detections[:, None], objects[None]
    sides = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.where((sides > 0).all(-1), sides.prod(-1), 0.0)
    size_a, size_b = a[..., 2:].prod(-1), b[..., 2:].prod(-1)
    whole = np.where(crowd, size_a, size_a + size_b - shared)
    overlaps: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return overlaps


def _match(overlaps: Floats, crowd: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each detection, best first, the thresholds (as bits) at which it found an object or a crowd.

    A detection takes the free object with the largest overlap, the last one of equal ones; a crowd only if there is
    none, and a crowd stays free.
    """
    matched = np.zeros(len(overlaps), np.int64)
    ignored = np.zeros(len(overlaps), np.int64)
    least = np.minimum(THRESHOLDS, 1 - 1e-10)
    free = np.ones((len(THRESHOLDS), overlaps.shape[1]), bool)
    ordinary = int((~crowd).sum())
    for index in np.flatnonzero((overlaps >= least[0]).any(1)):
        possible = np.where(free & (overlaps[index] >= least[:, None]), overlaps[index], -1.0)
        objects, crowds = possible[:, :ordinary], possible[:, ordinary:]
        hit = (objects >= 0).any(1)
        if hit.any():
            last_best = ordinary - 1 - objects[:, ::-1].argmax(1)
            free[np.flatnonzero(hit), last_best[hit]] = False
        matched[index] = _BITS[hit].sum()
        ignored[index] = _BITS[~hit & (crowds >= 0).any(1)].sum()
    return matched, ignored


def detection_outcomes(images: Sequence[Sequence[ClassMatches]]) -> DetectionOutcomes:
    """Join the matches of all images, in the data set's order."""
    entries = [(index, match) for index, matches in enumerate(images) for match in matches]
    counts = [len(match.scores) for _, match in entries]
    image = np.repeat([index for index, _ in entries], counts).astype(np.int64)
    label = np.repeat([match.label for _, match in entries], counts).astype(np.int64)
    scores = np.concatenate([np.empty(0, np.float32), *(match.scores for _, match in entries)])
    matched, ignored = (
        np.concatenate([np.empty(0, np.int64), *(getattr(match, name) for _, match in entries)])
        for name in ("matched", "ignored")
    )
    order = np.lexsort((image, -scores, label))  # stable: equal scores of an image stay in its order
    objects = [(index, match.label, match.objects) for index, match in entries if match.objects]
    object_image, object_label, object_count = np.array(objects, np.int64).reshape(-1, 3).T
    return DetectionOutcomes(
        image[order],
        label[order],
        matched[order],
        ignored[order],
        object_image,
        object_label,
        object_count,
        num_images=len(images),
    )
