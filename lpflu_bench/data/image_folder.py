"""Your own images, one folder a class, and the sets that come in such folders."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import psutil
import torch

from lpflu_bench.data.classification import ClassificationData, ImageSplits
from lpflu_bench.data.classification_layout import EXPECTED, ClassFiles, find_class_files
from lpflu_bench.data.image_cache import CacheMode
from lpflu_bench.data.image_set import ImageFiles
from lpflu_bench.data.labelled_images import LabelledImages
from lpflu_bench.data.splits import choose_splits
from lpflu_bench.errors import UserError, check_range


class ImageFolder(ClassificationData):
    """Images in one folder a class, with or without ``train``, ``val`` and ``test`` above; ImageNet's own layouts too.

    Images are decoded by Pillow and made square: stretched, or cut if ``keep_aspect``. They are kept as uint8 where
    ``cache`` says so, and augmented in batches on the device. Classes are numbered in the order of their names.

    Args:
        root: The set's folder; ``embedded`` for drawn shapes in its place.
        image_size: Height and width that the network gets, in pixels.
        stored_size: Height and width that images are decoded to; null: ``image_size``. Where it is larger, training takes
            windows (``augmentation: resized_crop_flip``), and tests the middle: 256 and 224 are ImageNet's usual ones.
        keep_aspect: Resize the shorter side to ``stored_size`` and cut the longer one, instead of resizing both sides.
        train: Split that is trained on, by its name in the folder; several are joined by "+"; null chooses by convention.
        test: Split that is tested on; null chooses ``test``, or else ``val``; with neither, ``test_fraction`` is held out.
        val: Split that validation runs on; null: ``val`` where there is a ``test`` as well, else the test images.
        cache: ``memory`` keeps 3 x stored_size x stored_size bytes an image (60,000 at 32: 184 MB; 10,000 at 224: 1.5 GB)
            in each device's process, and decodes them all at the start; ``disk`` keeps them in a file that all processes
            and later runs share; ``none`` decodes in every epoch, in ``num_workers`` processes. Null: ``memory`` if it takes
            at most half of what is free, else ``none``.
        cache_dir: Folder of a cache on disk; ``~/.cache/lpflu_bench`` if null.
        kwargs: see ``ClassificationData``.
    """

    layout: ClassVar[str] = f"Expected: {EXPECTED}, and --data.root DIR"

    def __init__(
        self,
        root: str | None = None,
        image_size: int = 32,
        stored_size: int | None = None,
        keep_aspect: bool = False,
        train: str | None = None,
        test: str | None = None,
        val: str | None = None,
        cache: CacheMode | None = None,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, **kwargs)
        check_range("data.image_size", image_size, at_least=1)
        if stored_size is not None:
            check_range("data.stored_size", stored_size, at_least=image_size)
        if self.on_device and cache not in (None, "memory"):
            raise UserError(f"data.on_device keeps all images in memory, data.cache is {cache}: set it to memory")
        self.image_size: int = image_size
        self.stored_size = stored_size or image_size
        self.keep_aspect = keep_aspect
        self.split_names = (train, test, val)
        self.cache, self.cache_dir = cache, cache_dir

    def read(self) -> ImageSplits:
        """Find the images of each split.

        Raises:
            UserError: A folder is missing or empty, or the classes of the splits differ.
        """
        root = self.root_folder()
        found = find_class_files(root)
        if not found:
            raise UserError(f"data.root: {root} has no class folders with images. {self.layout}")
        splits = choose_splits(list(found), *self.split_names)
        chosen = {name: _joined(found, name) for name in splits if name is not None}
        names = sorted(chosen[splits.train])
        for name, classes in chosen.items():
            _check_same(root, splits.train, set(names), name, set(classes))
        sets = {name: self._files(classes, names) for name, classes in chosen.items()}
        if self.rank == 0:
            told = [f"training on {splits.train} ({len(sets[splits.train])} images)"]
            told += [f"testing on {splits.test} ({len(sets[splits.test])})"] if splits.test else []
            print(f"{root}: {', '.join(told)}, {len(names)} classes", file=sys.stderr)
        return ImageSplits(
            sets[splits.train],
            sets[splits.test] if splits.test else None,
            names,
            sets[splits.val] if splits.val else None,
        )

    def _files(self, classes: ClassFiles, names: Sequence[str]) -> ImageFiles:
        counts = torch.tensor([len(classes[name]) for name in names])
        targets = torch.arange(len(names)).repeat_interleave(counts)
        return ImageFiles([p for name in names for p in classes[name]], targets, self.stored_size, self.keep_aspect)

    def place(self, images: LabelledImages, name: str) -> LabelledImages:
        """Decode the images of a set into memory, or lay out its cache."""
        if isinstance(images, ImageFiles):
            images = images.cached(
                self.cache or self._cache_that_fits(images, name), self.cache_dir, name=name, silent=self.rank > 0
            )
        return super().place(images, name)

    def _cache_that_fits(self, images: ImageFiles, name: str) -> CacheMode:
        free = psutil.virtual_memory().available
        if images.nbytes <= free / 2 or self.on_device:
            return "memory"
        if self.rank == 0:
            print(
                f"the {name} images take {images.nbytes / 1e9:.1f} GB, {free / 1e9:.1f} GB of memory are free: they are "
                "decoded in every epoch (--data.cache disk decodes them once)",
                file=sys.stderr,
            )
        return "none"


class TinyImageNet(ImageFolder):
    """Tiny-ImageNet: 100,000 training and 10,000 validation images of 64 x 64 pixels, 200 classes (Stanford's CS231n).

    Its test images have no labels, so the validation images are tested on.

    Args:
        root: Folder that holds ``train`` and ``val``; ``embedded`` for drawn shapes in their place.
        image_size: Height and width that the network gets, in pixels.
        kwargs: see ``ImageFolder``.
    """

    layout = (
        "Expected: DIR/train/CLASS/images/*.JPEG and DIR/val with val_annotations.txt (the unpacked "
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip) with --data.root DIR"
    )
    official_sizes = (100_000, 10_000)
    embedded_classes = 200

    def __init__(self, root: str | None = None, image_size: int = 64, **kwargs: Any) -> None:
        super().__init__(root=root, image_size=image_size, **kwargs)


class ImageNet(ImageFolder):
    """ImageNet-1k (ILSVRC2012): 1,281,167 training and 50,000 validation images, 1,000 classes (Russakovsky et al., 2015).

    Its test images have no labels, so the validation images are tested on.

    Args:
        root: Folder that holds ``train`` and ``val``; ``embedded`` for drawn shapes in their place.
        image_size: Height and width that the network gets, in pixels.
        stored_size: see ``ImageFolder``.
        keep_aspect: see ``ImageFolder``.
        kwargs: see ``ImageFolder``.
    """

    layout = (
        "Expected: DIR/train/CLASS/*.JPEG and DIR/val, in class folders, or flat beside LOC_val_solution.csv or the "
        "development kit's ILSVRC2012_devkit_t12 (https://image-net.org, with an account), with --data.root DIR"
    )
    official_sizes = (1_281_167, 50_000)
    embedded_classes = 1000

    def __init__(
        self,
        root: str | None = None,
        image_size: int = 224,
        stored_size: int | None = 256,
        keep_aspect: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, image_size=image_size, stored_size=stored_size, keep_aspect=keep_aspect, **kwargs)


def _joined(found: Mapping[str, ClassFiles], names: str) -> ClassFiles:
    joined: dict[str, list[Path]] = {}
    for name in names.split("+"):
        for label, files in found[name.strip()].items():
            joined.setdefault(label, []).extend(files)
    return joined


def _check_same(root: Path, train: str, expected: set[str], split: str, classes: set[str]) -> None:
    differences = [
        f"only in {name}: {', '.join(sorted(here - there)[:5])}"
        for name, here, there in ((train, expected, classes), (split, classes, expected))
        if here - there
    ]
    if differences:
        raise UserError(f"{root}: the class folders of {train} and {split} differ ({'; '.join(differences)})")
