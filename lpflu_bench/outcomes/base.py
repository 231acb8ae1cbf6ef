"""What the outcomes of every kind of task have in common."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]


class Outcomes(Protocol):
    """What was said of each image of a test set."""

    num_images: int

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores that follow from the outcomes."""

    def per_image_score(self, name: str) -> Floats:
        """Return the score of each image alone, [N]; NaN where it has none."""

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the score of each row of ``weights`` [B, N]: how often an image counts."""

    def arrays(self) -> Arrays:
        """Return what is stored."""


def rows_of(weights: npt.ArrayLike, num_images: int) -> Floats:
    """Return the weights of resamples as [B, N].

    Raises:
        ValueError: they are not of so many images.
    """
    rows = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if rows.shape[1] != num_images:
        raise ValueError(f"weights has {rows.shape[1]} columns for {num_images} images")
    return rows


def require(name: str, scores: Sequence[str]) -> None:
    """Refuse a score that the outcomes do not give.

    Raises:
        ValueError: it is not one of ``scores``.
    """
    if name not in scores:
        raise ValueError(f"'{name}' does not follow from these outcomes, but {', '.join(scores)} do")


def smallest(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers in the smallest type that holds them."""
    largest = int(array.max(initial=0))
    return array.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32)
