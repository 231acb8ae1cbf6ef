"""Readers of images with boxes, one for each layout on disk: a new layout is a new class here."""

from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.detection_layouts.coco import Coco
from lpflu_bench.data.detection_layouts.voc import VocDevkit, VocFlat
from lpflu_bench.data.detection_layouts.yolo import Yolo

LAYOUTS: tuple[type[DetectionLayout], ...] = (VocDevkit, Coco, VocFlat, Yolo)
"""In the order in which a folder is tried."""
