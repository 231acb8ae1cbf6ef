"""What a layout of images with boxes is."""

from abc import abstractmethod
from collections.abc import Mapping

from lpflu_bench.data.annotations import RawAnnotation
from lpflu_bench.data.layouts import Layout


class DetectionLayout(Layout):
    """How images and boxes are laid out in a folder."""

    @abstractmethod
    def read(self, split: str) -> list[RawAnnotation]:
        """Return the images of a split with their boxes.

        Raises:
            UserError: one line that names the file, and the object where it is one.
        """

    def category_ids(self) -> Mapping[str, int]:
        """Return the number of each class name in a COCO file; empty where the layout has none."""
        return {}
