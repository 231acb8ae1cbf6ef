"""Data modules: one class for each data set, named in a recipe's ``data.class_path``."""

from lpflu_bench.data.base import BenchDataModule

__all__ = ["BenchDataModule"]
