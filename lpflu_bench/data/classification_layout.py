"""Which image files belong to which class, in folders of classes and in ImageNet's own layouts."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from scipy.io import loadmat

from lpflu_bench.data.image_files import is_image_name, visible_files
from lpflu_bench.data.image_lists import read_list
from lpflu_bench.data.splits import ALL, split_role
from lpflu_bench.errors import UserError

ClassFiles = Mapping[str, list[Path]]
"""The files of each class name, sorted."""

EXPECTED = (
    "DIR/train/CLASS/* and DIR/test/CLASS/* or DIR/val/CLASS/* with the same class folders, or DIR/CLASS/*, with images in "
    "them"
)
_NESTED = "ILSVRC/Data/CLS-LOC"  # of Kaggle's archive


def find_class_files(root: Path) -> dict[str, ClassFiles]:
    """Return the files of each class of each split that has labels; one split, ``all``, where no folder is called like one.

    Raises:
        UserError: the set is one folder further down, a folder of a class has no image, or a list names a file that isn't
            there.
    """
    home = root / _NESTED if (root / _NESTED).is_dir() else root
    folders = _folders(home)
    splits = [path for path in folders if split_role(path.name) is not None]
    if not splits:
        for folder in folders:
            if any(split_role(path.name) for path in _folders(folder)):
                raise UserError(f"data.root: {root} is a parent of the dataset folder: pass {folder}")
        everything = _by_folder(home)
        return {ALL: everything} if everything else {}
    return {path.name: classes for path in splits if (classes := _of_split(path, root))}


def _folders(parent: Path) -> list[Path]:
    return [path for path in sorted(parent.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _of_split(folder: Path, root: Path) -> ClassFiles:
    for read in (_tiny_imagenet, _kaggle, _devkit):
        if (listed := read(folder, root)) is not None:
            return _by_list(*listed)
    return _by_folder(folder)


def _by_folder(folder: Path) -> ClassFiles:
    """Return the images below each folder; none at all for a folder without folders, such as unlabelled test images."""
    classes = {path.name: [file for file in visible_files(path) if is_image_name(file)] for path in _folders(folder)}
    if set(classes) == {"images"}:  # Tiny-ImageNet's test images
        return {}
    if empty := [name for name, files in classes.items() if not files]:
        raise UserError(f"{folder / empty[0]} holds no image. Expected: {EXPECTED}")
    return classes


def _by_list(source: Path, labels: Mapping[str, str], path_of: Callable[[str], Path]) -> ClassFiles:
    """Return the files that a list names with their classes."""
    classes: dict[str, list[Path]] = {}
    for name in sorted(labels):
        path = path_of(name)
        if not path.is_file():
            raise UserError(f"{path} is missing, {source} names it")
        classes.setdefault(labels[name], []).append(path)
    return classes


Listed = tuple[Path, Mapping[str, str], Callable[[str], Path]]


def _tiny_imagenet(folder: Path, root: Path) -> Listed | None:
    """``val_annotations.txt``: file name, class, and a box, separated by tabs; files in ``images``."""
    source = folder / "val_annotations.txt"
    if not source.is_file():
        return None
    rows = [line.split("\t") for line in read_list(source)]
    return source, {row[0]: row[1] for row in rows}, lambda name: folder / "images" / name


def _kaggle(folder: Path, root: Path) -> Listed | None:
    """``LOC_val_solution.csv``: image id, and class and box of each object; all objects of an image have one class."""
    source = root / "LOC_val_solution.csv"
    if split_role(folder.name) != "val" or not source.is_file() or not _is_flat(folder):
        return None
    with source.open(encoding="utf-8", newline="") as file:
        labels = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    return source, labels, lambda name: folder / f"{name}.JPEG"


def _devkit(folder: Path, root: Path) -> Listed | None:
    """The development kit's list of class numbers, in the order of the files, and its table of classes."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    source = data / "ILSVRC2012_validation_ground_truth.txt"
    if split_role(folder.name) != "val" or not source.is_file() or not _is_flat(folder):
        return None
    synsets = loadmat(data / "meta.mat", squeeze_me=True)["synsets"]
    names = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    files = [path.name for path in sorted(folder.iterdir()) if is_image_name(path)]
    numbers = read_list(source)
    if len(files) != len(numbers):
        raise UserError(f"{folder} has {len(files)} images, {source} has classes of {len(numbers)}")
    return (
        source,
        {file: names[int(number)] for file, number in zip(files, numbers, strict=True)},
        lambda name: folder / name,
    )


def _is_flat(folder: Path) -> bool:
    return any(is_image_name(path) for path in folder.iterdir())
