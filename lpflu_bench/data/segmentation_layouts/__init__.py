"""Readers of images with masks, one for each layout on disk: a new layout is a new class here."""

from pathlib import Path

from lpflu_bench.data.layouts import find_layout
from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_layouts.cityscapes import CityscapesLayout
from lpflu_bench.data.segmentation_layouts.image_masks import ImageMasks
from lpflu_bench.data.segmentation_layouts.voc import VocSegmentation

LAYOUTS: tuple[type[SegmentationLayout], ...] = (CityscapesLayout, VocSegmentation, ImageMasks)
"""In the order in which a folder is tried."""


def find_segmentation_layout(root: Path, name: str | None = None) -> tuple[SegmentationLayout, str]:
    """Return the layout of a folder, and a hint at others it could be; see :func:`find_layout`."""
    return find_layout(LAYOUTS, root, name)
