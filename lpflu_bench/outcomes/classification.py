"""The outcomes of classification: right or wrong, for each image."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lpflu_bench.outcomes.base import Arrays, Floats, require, rows_of


class ClassificationOutcomes:
    """Whether the right class was the first, and among the first five, for each image.

    Args:
        correct: ``top1`` and ``top5``, bool [N] each.
    """

    kind: ClassVar[str] = "classification"

    def __init__(self, correct: Mapping[str, npt.NDArray[np.bool_]]) -> None:
        self._correct = dict(correct)
        self.num_images = len(self._correct["top1"])

    @property
    def scores(self) -> tuple[str, ...]:
        """The errors."""
        return tuple(f"{name}_error" for name in self._correct)

    def per_image_score(self, name: str) -> Floats:
        """Return 100 for an image that is wrong, 0 for one that is right, [N]."""
        require(name, self.scores)
        return 100.0 * (~self._correct[name.removesuffix("_error")]).astype(np.float64)

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the error of each row of ``weights`` [B, N]."""
        rows = rows_of(weights, self.num_images)
        errors: Floats = rows @ self.per_image_score(name) / rows.sum(1)
        return errors

    def arrays(self) -> Arrays:
        """Return one bit an image."""
        bits = {name: np.packbits(correct) for name, correct in self._correct.items()}
        return {"num_images": np.array(self.num_images), **bits}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ClassificationOutcomes":
        """Undo :meth:`arrays`."""
        count = int(arrays["num_images"])
        return cls(
            {k: np.unpackbits(bits, count=count).astype(bool) for k, bits in arrays.items() if k != "num_images"}
        )
