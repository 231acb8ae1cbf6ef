"""Readers of images with masks, one for each layout on disk: a new layout is a new class here."""

from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_layouts.cityscapes import CityscapesLayout
from lpflu_bench.data.segmentation_layouts.image_masks import ImageMasks
from lpflu_bench.data.segmentation_layouts.voc import VocSegmentation

LAYOUTS: tuple[type[SegmentationLayout], ...] = (CityscapesLayout, VocSegmentation, ImageMasks)
"""In the order in which a folder is tried."""
