"""The LightningModules, one for each kind of task."""

from lpflu_bench.modules.base import BenchModule
from lpflu_bench.modules.classification import ClassificationModule
from lpflu_bench.modules.detection import DetectionModule
from lpflu_bench.modules.schedule import EpochSchedule, OneCycle, WarmupCosine, WarmupDecayHold
from lpflu_bench.modules.segmentation import SegmentationModule

__all__ = [
    "BenchModule",
    "ClassificationModule",
    "DetectionModule",
    "EpochSchedule",
    "OneCycle",
    "SegmentationModule",
    "WarmupCosine",
    "WarmupDecayHold",
]
