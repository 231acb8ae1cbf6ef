"""Fashion-MNIST from its IDX files, packed or not."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lpflu_bench.data.classification import ClassificationData, ImageSplits, check_labels
from lpflu_bench.data.labelled_images import ImageArray
from lpflu_bench.errors import UserError

_FILES = tuple(f"{split}-{what}-ubyte" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_UINT8 = b"\x00\x00\x08"  # how an IDX file of bytes begins


class FashionMNIST(ClassificationData):
    """Fashion-MNIST: 60,000 training and 10,000 test images, grey, 28 x 28, 10 classes (Xiao et al., 2017).

    The grey channel is repeated to three, on the device. MNIST and its other relatives with ten classes are read too.

    Args:
        root: Folder that holds the four IDX files, packed (``.gz``) or not, or ``FashionMNIST/raw`` with them;
            ``embedded`` for drawn shapes in its place.
        download: Download what is missing into ``root``.
        kwargs: see ``ClassificationData``.
    """

    layout = (
        f"Expected: DIR/{{{','.join(_FILES)}}}, packed (.gz) or not, or these in DIR/FashionMNIST/raw "
        "(https://github.com/zalandoresearch/fashion-mnist; Debian's package dataset-fashion-mnist) with --data.root DIR; "
        "--data.download true downloads it"
    )
    official_sizes = (60_000, 10_000)

    def __init__(self, root: str | None = None, download: bool = False, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, if asked to. Runs once per node."""
        if self.download and self.root is not None and _missing(_folder(root := Path(self.root).expanduser())):
            from torchvision import datasets

            try:
                datasets.FashionMNIST(str(root), download=True)
            except (OSError, RuntimeError) as error:
                raise UserError(f"FashionMNIST can't be downloaded: {error}. {self.layout}") from error

    def read(self) -> ImageSplits:
        """Read both splits.

        Raises:
            UserError: A file is missing or isn't what it should be.
        """
        folder = _folder(self.root_folder())
        if missing := _missing(folder):
            raise UserError(f"{folder}: {', '.join(missing)} not found. {self.layout}")
        names = list(_CLASSES)
        splits = []
        for split in ("train", "t10k"):
            images = read_idx(_find(folder, f"{split}-images-idx3-ubyte"), dimensions=3)
            source = _find(folder, f"{split}-labels-idx1-ubyte")
            targets = read_idx(source, dimensions=1).long()
            if len(images) != len(targets):
                raise UserError(f"{source} has {len(targets)} labels of {len(images)} images; download it again")
            check_labels(targets, names, str(source))
            splits.append(ImageArray(images.unsqueeze(1), targets))
        train, test = splits
        return ImageSplits(train, test, names)


def _folder(root: Path) -> Path:
    nested = root / "FashionMNIST" / "raw"
    return nested if nested.is_dir() else root


def _find(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _missing(folder: Path) -> list[str]:
    return [name for name in _FILES if not _find(folder, name).is_file()]


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Read an IDX file of bytes, packed if it is called ``.gz``.

    Args:
        path: of the file.
        dimensions: that its array must have.

    Raises:
        UserError: the file is no IDX file of that kind, or is cut short.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: can't be unpacked ({error}); download it again") from error
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start], dtype=">u4").tolist() if len(content) >= start else []
    if content[:4] != _UINT8 + bytes([dimensions]) or len(content) - start != np.prod(shape, dtype=np.int64):
        raise UserError(
            f"{path}: can't be read as an IDX file of bytes with {dimensions} dimensions; download it again"
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy())
