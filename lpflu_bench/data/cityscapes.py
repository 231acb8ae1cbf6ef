"""Cityscapes with its official classes."""

from typing import Any, ClassVar

from lpflu_bench.data.segmentation_folder import SegmentationFolder


class Cityscapes(SegmentationFolder):
    """Street scenes with fine annotations: train 2,975 and val 500 images of 2048 x 1024, the latter as the test set.

    :class:`SegmentationFolder` with its classes and splits.

    Args:
        root: the folder that holds ``leftImg8bit`` and ``gtFine``; ``embedded`` for drawn scenes.
        labels: ``cityscapes20`` (19 classes and "other"), ``cityscapes19`` (the rest is ignored), or your own table.
        train: folder of the training scenes.
        test: folder of the test scenes.
        kwargs: see :class:`SegmentationFolder`.
    """

    layout: ClassVar[str] = (
        "Cityscapes has leftImg8bit/{train,val}/CITY/*_leftImg8bit.png, gtFine/{train,val}/CITY/*_gtFine_labelIds.png, "
        "from leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of cityscapes-dataset.com"
    )
    official_sizes: ClassVar[tuple[int, int] | None] = (2975, 500)

    def __init__(
        self,
        root: str | None = None,
        labels: str | dict[str, Any] | None = "cityscapes20",
        train: str | None = "train",
        test: str | None = "val",
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, labels=labels, train=train, test=test, **kwargs)
