"""Data modules: one class for each data set, named in a recipe's ``data.class_path``."""

from lpflu_bench.data.augment import JitterStrength, Noise
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.cifar import CIFAR10, CIFAR100
from lpflu_bench.data.cityscapes import Cityscapes
from lpflu_bench.data.classification import ClassificationData
from lpflu_bench.data.classification_augment import Mixing, RandAugment
from lpflu_bench.data.detection_folder import DetectionFolder
from lpflu_bench.data.fashion_mnist import FashionMNIST
from lpflu_bench.data.image_folder import ImageFolder, ImageNet, TinyImageNet
from lpflu_bench.data.segmentation_folder import SegmentationFolder
from lpflu_bench.data.shapes import Shapes
from lpflu_bench.data.voc import VOC

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "VOC",
    "BenchDataModule",
    "Cityscapes",
    "ClassificationData",
    "DetectionFolder",
    "FashionMNIST",
    "ImageFolder",
    "ImageNet",
    "JitterStrength",
    "Mixing",
    "Noise",
    "RandAugment",
    "SegmentationFolder",
    "Shapes",
    "TinyImageNet",
]
