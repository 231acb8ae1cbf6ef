"""What a layout of images with masks is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lpflu_bench.data.segmentation_set import Scene


class SegmentationLayout(ABC):
    """How images and masks are laid out in a folder.

    Args:
        root: the set's folder.
        files: what is in it, hidden files left out.
    """

    name: ClassVar[str]
    """Its name for ``--data.layout``."""
    title: ClassVar[str]
    """Its name for people."""
    expected: ClassVar[str]
    """What is where, in a few words."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.root = root
        self.files = files

    @abstractmethod
    def matches(self) -> bool:
        """Return whether the folder looks like this layout."""

    @abstractmethod
    def split_names(self) -> list[str]:
        """Return the names of the splits."""

    @abstractmethod
    def scenes(self, split: str) -> list[Scene]:
        """Return a split's pairs of image and mask, in a fixed order.

        Raises:
            UserError: a mask is missing, or the split is empty.
        """

    def labels(self) -> str | Mapping[str, Any] | None:
        """Return the label table that the layout brings with it: a name or a mapping; null if it has none."""
        return None

    @property
    def train_ids(self) -> bool:
        """Whether the masks hold Cityscapes' train ids (0 to 18, 255) instead of its label ids."""
        return False
