"""PASCAL VOC with its official lists and classes."""

from collections.abc import Sequence
from typing import Any, ClassVar

from lpflu_bench.data.detection_folder import DetectionFolder
from lpflu_bench.data.voc_classes import VOC_CLASSES


class VOC(DetectionFolder):
    """PASCAL VOC: trained on VOC2012, tested on VOC2007 test, 20 classes; :class:`DetectionFolder` with its lists.

    Args:
        root: the folder that holds ``VOCdevkit``; ``embedded`` for drawn shapes, which take the names of ``classes``.
        train: image list ``YEAR/LIST``: ``2012/all`` is every annotated image of VOC2012 (17,125; the paper's), and
            ``2012/trainval`` VOCdevkit/VOC2012/ImageSets/Main/trainval.txt (11,540 images).
        test: image list of validation and test.
        kwargs: see :class:`DetectionFolder`.
    """

    official_sizes: ClassVar[tuple[int, int] | None] = (17_125, 4_952)
    layout: ClassVar[str] = (
        "VOC is VOCdevkit/VOC2012 and VOCdevkit/VOC2007, each with JPEGImages, Annotations and ImageSets/Main, from "
        "VOCtrainval_11-May-2012.tar and VOCtest_06-Nov-2007.tar of host.robots.ox.ac.uk/pascal/VOC"
    )
    embedded_classes: ClassVar[Sequence[str]] = VOC_CLASSES

    def __init__(
        self,
        root: str | None = None,
        train: str | None = "2012/all",
        test: str | None = "2007/test",
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, train=train, test=test, **kwargs)
