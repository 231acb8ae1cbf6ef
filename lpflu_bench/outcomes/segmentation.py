"""The outcomes of segmentation: each image's confusion matrix."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lpflu_bench.outcomes.base import Arrays, Floats, require, rows_of, smallest


class SegmentationOutcomes:
    """Each image's confusion matrix.

    Args:
        image: of each entry, [E]; entries are the cells of the matrices that are not 0.
        cell: label * C + prediction of each entry, [E].
        count: pixels of each entry, [E].
        num_images: number of images.
        num_classes: C.
        other_class: the class that ``miou_<C-1>`` leaves out, -1 for none.
    """

    kind: ClassVar[str] = "segmentation"

    def __init__(
        self,
        image: npt.NDArray[Any],
        cell: npt.NDArray[Any],
        count: npt.NDArray[Any],
        num_images: int,
        num_classes: int,
        other_class: int = -1,
    ) -> None:
        self._image, self._cell, self._count = image, cell, count
        self.num_images, self._num_classes, self._other = num_images, num_classes, other_class

    @property
    def scores(self) -> tuple[str, ...]:
        """The mean IoUs and the pixel accuracy."""
        named = (f"miou_{self._num_classes - 1}",) if self._other >= 0 else ()
        return ("miou", *named, "pixel_accuracy")

    def per_image_score(self, name: str) -> Floats:
        """Return the score of each image's own matrix, [N]."""
        size = self._num_classes**2
        matrices = np.zeros((self.num_images, size))
        matrices[self._image, self._cell] = self._count
        return self._score(name, matrices)

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the score of the weighted sum of the matrices for each row of ``weights`` [B, N]."""
        rows = rows_of(weights, self.num_images)
        matrices = np.stack(
            [np.bincount(self._cell, row[self._image] * self._count, minlength=self._num_classes**2) for row in rows]
        ).astype(np.float64)
        return self._score(name, matrices)

    def _score(self, name: str, matrices: Floats) -> Floats:
        require(name, self.scores)
        confusion = matrices.reshape(-1, self._num_classes, self._num_classes)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        with np.errstate(invalid="ignore"):
            if name == "pixel_accuracy":
                accuracy: Floats = 100.0 * hits.sum(1) / confusion.sum((1, 2))
                return accuracy
            ious = hits / (confusion.sum(1) + confusion.sum(2) - hits)
        if name != "miou":
            ious = np.delete(ious, self._other, axis=1)
        there = ~np.isnan(ious)
        with np.errstate(invalid="ignore"):
            mean: Floats = 100.0 * np.where(there, ious, 0.0).sum(1) / there.sum(1)
        return mean

    def arrays(self) -> Arrays:
        """Return the entries, in the smallest types that hold them."""
        return {
            "shape": np.array([self.num_images, self._num_classes, self._other]),
            "image": smallest(self._image),
            "cell": smallest(self._cell),
            "count": smallest(self._count),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "SegmentationOutcomes":
        """Undo :meth:`arrays`."""
        num_images, num_classes, other = (int(number) for number in arrays["shape"])
        image, cell, count = (arrays[name].astype(np.int64) for name in ("image", "cell", "count"))
        return cls(image, cell, count, num_images, num_classes, other)
