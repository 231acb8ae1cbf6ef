"""What a layout of images with masks is."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from lpflu_bench.data.layouts import Layout
from lpflu_bench.data.segmentation_set import Scene


class SegmentationLayout(Layout):
    """How images and masks are laid out in a folder."""

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
