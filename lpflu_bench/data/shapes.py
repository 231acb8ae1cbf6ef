"""The embedded classification set as a data module."""

from lpflu_bench.data.classification import ClassificationData, ImageSplits
from lpflu_bench.data.embedded import EMBEDDED
from lpflu_bench.errors import UserError


class Shapes(ClassificationData):
    """Ten shapes, 32 x 32, 4,000 training and 1,000 test images, drawn in memory: no files, no network.

    ``root`` is ``embedded`` or null; the other settings are those of ``ClassificationData``.
    """

    def read(self) -> ImageSplits:
        """Draw the set.

        Raises:
            UserError: ``root`` names a folder.
        """
        if self.root is not None:
            raise UserError(
                f"data.root is {self.root} but Shapes is drawn in memory: leave data.root at {EMBEDDED}, "
                "or read your own images with --data ImageFolder"
            )
        return self.read_embedded()
