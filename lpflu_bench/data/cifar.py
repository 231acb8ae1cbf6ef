"""CIFAR-10 and CIFAR-100 from their official Python files."""

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from lpflu_bench.data.classification import ClassificationData, ImageSplits, check_labels
from lpflu_bench.data.corruptions import OfficialArrays
from lpflu_bench.data.labelled_images import ImageArray
from lpflu_bench.errors import UserError

_PIXELS = 3 * 32 * 32
# All that the official files name: arrays, and byte strings as Python 2 wrote them.
_ALLOWED = {
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in ((f"{package}.multiarray", "_reconstruct"), (f"{package}.numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


class _DataUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists, strings, numbers and arrays and refuses anything else: a pickle is a program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}, which image data never needs")
        return super().find_class(module, name)


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a dictionary of plain data and arrays.

    Raises:
        UserError: The file isn't a pickle of plain data.
    """
    try:
        with path.open("rb") as file:
            content = _DataUnpickler(file, encoding="latin1").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ImportError,
    ) as error:
        raise UserError(f"{path}: can't be read as a CIFAR file ({error}); download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: can't be read as a CIFAR file (a dictionary was expected); download it again")
    return content


class _CIFAR(ClassificationData):
    folder: ClassVar[str]
    train_files: ClassVar[tuple[str, ...]]
    test_files: ClassVar[tuple[str, ...]]
    meta_file: ClassVar[str]
    label_key: ClassVar[str]
    names_key: ClassVar[str]
    corrupted_folder: ClassVar[str]

    def __init__(self, root: str | None = None, download: bool = False, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, if asked to, by torchvision, which checks the archive's sum. Runs once per node."""
        if self.download and self.root is not None and self._missing(Path(self.root).expanduser()):
            from torchvision import datasets

            try:
                getattr(datasets, type(self).__name__)(str(Path(self.root).expanduser()), download=True)
            except (OSError, RuntimeError) as error:
                raise UserError(f"{type(self).__name__} can't be downloaded: {error}. {self.layout}") from error

    def corrupted_test_set(self) -> Dataset[Any]:
        """Return the test set under ``test_corruption``, from DIR/CIFAR-10-C or DIR/CIFAR-100-C if that says official."""
        if self.test_corruption is None or not self.test_corruption.official:
            return super().corrupted_test_set()
        if self.test_fraction is not None:
            raise UserError(
                "data.test_corruption.official: those arrays hold the test images alone; leave out data.test_fraction"
            )
        folder = self.root_folder() / self.corrupted_folder
        return OfficialArrays(folder, self.test_corruption, self.test_set.targets)

    def _missing(self, root: Path) -> list[str]:
        files = (*self.train_files, *self.test_files, self.meta_file)
        return [name for name in files if not (root / self.folder / name).is_file()]

    def read(self) -> ImageSplits:
        """Read both splits.

        Raises:
            UserError: A file is missing or isn't what it should be.
        """
        root = self.root_folder()
        if missing := self._missing(root):
            hint = f" (data.root is one level too deep: pass {root.parent})" if not self._missing(root.parent) else ""
            raise UserError(f"{root / self.folder}: {', '.join(missing)} not found{hint}. {self.layout}")
        folder = root / self.folder
        meta = folder / self.meta_file
        names = read_pickle(meta).get(self.names_key)
        if not isinstance(names, list) or not names:
            raise UserError(f"{meta}: no class names under '{self.names_key}'; download it again")
        train, test = (self._read_split(folder, files, names) for files in (self.train_files, self.test_files))
        return ImageSplits(train, test, [str(name) for name in names])

    def _read_split(self, folder: Path, files: tuple[str, ...], names: list[str]) -> ImageArray:
        images, targets = [], []
        for path in (folder / name for name in files):
            content = read_pickle(path)
            data, labels = content.get("data"), content.get(self.label_key)
            if (
                not isinstance(data, np.ndarray)
                or data.dtype != np.uint8
                or data.shape[1:] != (_PIXELS,)
                or not isinstance(labels, list)
                or len(labels) != len(data)
                or not len(data)
            ):
                raise UserError(
                    f"{path}: 'data' must be uint8 [N, {_PIXELS}] and '{self.label_key}' a list of N labels; "
                    "download it again"
                )
            labels_tensor = torch.tensor(labels, dtype=torch.long)
            check_labels(labels_tensor, names, str(path))
            images.append(torch.from_numpy(data).view(-1, 3, 32, 32))
            targets.append(labels_tensor)
        return ImageArray(torch.cat(images), torch.cat(targets))


class CIFAR100(_CIFAR):
    """CIFAR-100: 50,000 training and 10,000 test images, 32 x 32, 100 classes (Krizhevsky, 2009).

    Args:
        root: Folder that holds ``cifar-100-python``; ``embedded`` for drawn shapes in its place.
        download: Download what is missing into ``root``.
        kwargs: see ``ClassificationData``.
    """

    layout = (
        "Expected: DIR/cifar-100-python/{train,test,meta} (the folder in "
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz) with --data.root DIR; "
        "--data.download true downloads it"
    )
    official_sizes = (50_000, 10_000)
    embedded_classes = 100
    folder = "cifar-100-python"
    train_files = ("train",)
    test_files = ("test",)
    meta_file = "meta"
    label_key = "fine_labels"
    names_key = "fine_label_names"
    corrupted_folder = "CIFAR-100-C"


class CIFAR10(_CIFAR):
    """CIFAR-10: 50,000 training and 10,000 test images, 32 x 32, 10 classes (Krizhevsky, 2009).

    Args:
        root: Folder that holds ``cifar-10-batches-py``; ``embedded`` for drawn shapes in its place.
        download: Download what is missing into ``root``.
        kwargs: see ``ClassificationData``.
    """

    layout = (
        "Expected: DIR/cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta} (the folder in "
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz) with --data.root DIR; "
        "--data.download true downloads it"
    )
    official_sizes = (50_000, 10_000)
    folder = "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{number}" for number in range(1, 6))
    test_files = ("test_batch",)
    meta_file = "batches.meta"
    label_key = "labels"
    names_key = "label_names"
    corrupted_folder = "CIFAR-10-C"
