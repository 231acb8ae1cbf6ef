"""Readers of images with boxes, one for each layout on disk: a new layout is a new class here."""

from pathlib import Path

from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.detection_layouts.coco import Coco
from lpflu_bench.data.detection_layouts.voc import VocDevkit, VocFlat
from lpflu_bench.data.detection_layouts.yolo import Yolo
from lpflu_bench.data.layouts import find_layout

LAYOUTS: tuple[type[DetectionLayout], ...] = (VocDevkit, Coco, VocFlat, Yolo)
"""In the order in which a folder is tried."""


def find_detection_layout(root: Path, name: str | None = None) -> tuple[DetectionLayout, str]:
    """Return the layout of a folder, and a hint at others it could be; see :func:`find_layout`."""
    return find_layout(LAYOUTS, root, name)
