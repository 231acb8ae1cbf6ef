"""The fifteen corruptions of CIFAR-C and ImageNet-C as batched, seeded torch operations."""

# Importing a group registers its corruptions; the order is the benchmark's.
from lpflu_bench.data.corruptions import noise, blur, weather, digital  # noqa: F401, I001
from lpflu_bench.data.corruptions.corrupted_set import CorruptedSet, OfficialArrays
from lpflu_bench.data.corruptions.registry import KINDS, SEVERITIES, Corruption, Kind

__all__ = ["KINDS", "SEVERITIES", "CorruptedSet", "Corruption", "Kind", "OfficialArrays"]
