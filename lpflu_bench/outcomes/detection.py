"""The outcomes of detection: which boxes found an object, for each image."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lpflu_bench.outcomes.base import Arrays, Floats, require, rows_of, smallest

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's IoU thresholds."""
_RECALLS = np.linspace(0.0, 1.0, 101)
_VALUES = 4_000_000
"""About as many weights of detections are held at a time: 32 MB."""


class DetectionOutcomes:
    """Which detections of each image found an object, as COCO matches them (area "all", 100 detections a class).

    Args:
        image: of each detection, [D]; detections are sorted by class, then by falling score, equal ones by image.
        label: class of each detection, [D].
        matched: bit t of it: found an object at ``THRESHOLDS[t]``, [D].
        ignored: bit t of it: does not count at that threshold, as it found a crowd, [D].
        object_image: of each class of an image that has objects, [O].
        object_label: the class, [O].
        object_count: how many that are no crowd, [O].
        num_images: number of images.
    """

    kind: ClassVar[str] = "detection"

    def __init__(
        self,
        image: npt.NDArray[Any],
        label: npt.NDArray[Any],
        matched: npt.NDArray[Any],
        ignored: npt.NDArray[Any],
        object_image: npt.NDArray[Any],
        object_label: npt.NDArray[Any],
        object_count: npt.NDArray[Any],
        num_images: int,
    ) -> None:
        self._image, self._label, self._matched, self._ignored = image, label, matched, ignored
        self._object_image, self._object_label, self._object_count = object_image, object_label, object_count
        self.num_images = num_images

    @property
    def scores(self) -> tuple[str, ...]:
        """The mAPs over all classes."""
        return ("map", "map_50", "map_75")

    def per_image_score(self, name: str) -> Floats:
        """Return the mAP of each image alone, [N]."""
        by_image = np.argsort(self._image, kind="stable")
        ends = np.searchsorted(self._image[by_image], np.arange(self.num_images + 1))
        scores = np.full(self.num_images, np.nan)
        for index in np.unique(self._object_image):
            alone = np.eye(1, self.num_images, index)
            scores[index] = self._map(name, by_image[ends[index] : ends[index + 1]], alone)[0]
        return scores

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the mAP of each row of ``weights`` [B, N]; classes without an object in it are left out."""
        rows = rows_of(weights, self.num_images)
        everything = np.arange(len(self._image))
        largest = int(np.bincount(self._label).max(initial=1))
        parts = np.array_split(rows, math.ceil(len(rows) * largest / _VALUES))
        return np.concatenate([self._map(name, everything, part) for part in parts])

    def _map(self, name: str, chosen: npt.NDArray[Any], rows: Floats) -> Floats:
        """Return the mAP of the chosen detections for each row of weights, [B]; NaN without an object."""
        require(name, self.scores)
        thresholds = {"map": range(len(THRESHOLDS)), "map_50": (0,), "map_75": (5,)}[name]
        total, classes = np.zeros(len(rows)), np.zeros(len(rows))
        for label in np.unique(self._object_label):
            of_class = self._object_label == label
            objects = rows[:, self._object_image[of_class]] @ self._object_count[of_class]
            mine = chosen[self._label[chosen] == label]
            counts = rows[:, self._image[mine]]
            until = np.cumsum(counts, axis=1)
            for bit in thresholds:
                ignored = np.flatnonzero(self._ignored[mine] >> bit & 1)
                hits = np.setdiff1d(np.flatnonzero(self._matched[mine] >> bit & 1), ignored, assume_unique=True)
                said = until[:, hits]
                if len(ignored):
                    before = np.cumsum(counts[:, ignored], axis=1)
                    said -= np.pad(before, ((0, 0), (1, 0)))[:, np.searchsorted(ignored, hits)]
                total += _average_precision(counts[:, hits], said, objects)
            classes += objects > 0
        with np.errstate(invalid="ignore"):
            mean: Floats = 100.0 * total / (classes * len(thresholds))
        return mean

    def arrays(self) -> Arrays:
        """Return the matches, in the smallest types that hold them."""
        names = ("image", "label", "matched", "ignored", "object_image", "object_label", "object_count")
        return {
            "num_images": np.array(self.num_images),
            **{name: smallest(getattr(self, f"_{name}")) for name in names},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "DetectionOutcomes":
        """Undo :meth:`arrays`."""
        columns = {name: array.astype(np.int64) for name, array in arrays.items() if name != "num_images"}
        return cls(**columns, num_images=int(arrays["num_images"]))


def _average_precision(hits: Floats, said: Floats, objects: Floats) -> Floats:
    """Return COCO's average precision: the mean over 101 recalls of the best precision at that recall or a higher one.

    Precision is at its best where an object has just been found, so only those detections are looked at; each counts as
    often as there are recalls between the one before it and its own.

    Args:
        hits: how often each detection that found an object is in each resample, by falling score, [B, H].
        said: detections up to and with it, [B, H].
        objects: how many there are, [B].

    Returns:
        [B]; 0 without an object.
    """
    there = np.maximum(objects, 1)[:, None]
    found = np.cumsum(hits, axis=1)
    best = np.maximum.accumulate((found / (said + np.spacing(1.0)))[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(_RECALLS, found / there, side="right")
    average = (best * np.diff(reached, axis=1, prepend=0)).sum(1) / len(_RECALLS)
    return np.where(objects > 0, average, 0.0)
