"""The LightningModules, one for each kind of task."""

from lpflu_bench.modules.base import BenchModule
from lpflu_bench.modules.classification import ClassificationModule
from lpflu_bench.modules.schedule import EpochSchedule, WarmupDecayHold

__all__ = ["BenchModule", "ClassificationModule", "EpochSchedule", "WarmupDecayHold"]
