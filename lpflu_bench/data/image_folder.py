"""Your own images: one folder a class."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.image_files import SUFFIXES, in_threads, is_image_name, read_image
from lpflu_bench.data.small_images import ImageSplits, LabelledImages, SmallImages
from lpflu_bench.errors import UserError


class ImageFolder(SmallImages):
    """Images in ``train/<class>/*`` and ``test/<class>/*``: decoded once, made square, kept as uint8 in memory.

    Classes are numbered in the order of their folders' names. Memory: 3 x image_size x image_size bytes an image
    (60,000 at 32 pixels: 184 MB; 10,000 at 224: 1.5 GB).

    Args:
        root: Folder that holds ``train`` and ``test``; ``embedded`` for drawn shapes in its place.
        image_size: Height and width in pixels; other images are resized to it (bilinear, the aspect ratio is not kept).
        kwargs: see ``SmallImages``.
    """

    layout = (
        f"Expected: DIR/train/<class>/* and DIR/test/<class>/* with the same class folders and images in them "
        f"({', '.join(sorted(SUFFIXES))}), and --data.root DIR"
    )

    def __init__(self, root: str | None = None, image_size: int = 32, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        if image_size < 1:
            raise UserError(f"data.image_size is {image_size}: it must be at least 1")
        self.image_size = image_size

    def read(self) -> ImageSplits:
        """Decode both splits.

        Raises:
            UserError: A folder is missing or empty, class folders differ, or an image can't be decoded.
        """
        root = self.root_folder()
        train, test = (self._class_folders(root / split) for split in ("train", "test"))
        names = sorted(train)
        if train.keys() != test.keys():
            only = [
                f"only in {split}: {', '.join(sorted(here - there)[:5])}"
                for split, here, there in (("train", set(train), set(test)), ("test", set(test), set(train)))
                if here - there
            ]
            raise UserError(f"{root}: the class folders of train and test differ ({'; '.join(only)})")
        return ImageSplits(self._decode(train, names, "train"), self._decode(test, names, "test"), names)

    def _class_folders(self, folder: Path) -> dict[str, list[Path]]:
        if not folder.is_dir():
            raise UserError(f"data.root: there is no folder {folder}. {self.layout}")
        classes = {
            path.name: sorted(file for file in path.iterdir() if is_image_name(file))
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        }
        if not classes:
            raise UserError(f"{folder} has no class folders. {self.layout}")
        if empty := [name for name, files in classes.items() if not files]:
            raise UserError(f"{folder / empty[0]} holds no image. {self.layout}")
        return classes

    def _decode(self, classes: dict[str, list[Path]], names: list[str], split: str) -> LabelledImages:
        paths = [path for name in names for path in classes[name]]
        targets = torch.repeat_interleave(
            torch.arange(len(names)), torch.tensor([len(classes[name]) for name in names])
        )
        images = torch.empty((len(paths), 3, self.image_size, self.image_size), dtype=torch.uint8)

        def decode(index: int) -> None:
            images[index] = resized(read_image(paths[index]), self.image_size)

        in_threads(decode, range(len(paths)), f"reading {len(paths)} {split} images", silent=self.rank > 0)
        return LabelledImages(images, targets)


def resized(image: Tensor, size: int) -> Tensor:
    """Return an image uint8 [3, H, W] as a square [3, size, size] (bilinear, the aspect ratio is not kept)."""
    square: Tensor = TF.resize(image, [size, size], antialias=True)
    return square
