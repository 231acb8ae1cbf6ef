"""Images and the files that belong to them, found by name wherever their folders are."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lpflu_bench.data.image_files import ImageFileError, is_image_name
from lpflu_bench.data.splits import ALL, split_role

# Names of folders that say what kind of file is in them, not which: they do not count when two paths are compared.
_IMAGES = frozenset(
    {"image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "input", "inputs", "photos", "data"}
)
_LABELS = frozenset(
    {"annotation", "annotations", "annots", "xml", "xmls", "label", "labels", "labelmaps", "mask", "masks"}
    | {"gt", "gtfine", "groundtruth", "segmentationclass", "target", "targets"}
)


# CamVid's train_labels and trainannot: a split and a kind in one name.
_SPLIT_OF_LABELS = re.compile(r"(train|val|valid|test)[_-]?(labels?|masks?|annot|gt)", re.IGNORECASE)
# What masks have behind the stem of their image.
_LABEL_SUFFIX = re.compile(r"[_-](mask|masks|label|labels|gt|seg|segmentation|annotation|L)$")


def pair_key(path: Path, root: Path) -> tuple[str, ...]:
    """Return what an image and its annotation have in common: their path without folders of kinds, and their stem.

    ``images/train/a.jpg``, ``train/images/a.jpg``, ``labels/train/a.txt``, ``train/a.xml`` and ``train_masks/a_mask.png``
    are all (``train``, ``a``).
    """
    folders = [_SPLIT_OF_LABELS.sub(r"\1", part) for part in path.relative_to(root).parts[:-1]]
    stem = _LABEL_SUFFIX.sub("", path.stem) if in_label_folder(path, root) else path.stem
    return (*(part for part in folders if part.lower() not in _IMAGES | _LABELS), stem)


def in_label_folder(path: Path, root: Path) -> bool:
    """Return whether a file is in a folder that is named like one of labels (``masks``, ``SegmentationClass``)."""
    return any(
        part.lower() in _LABELS or _SPLIT_OF_LABELS.fullmatch(part) for part in path.relative_to(root).parts[:-1]
    )


def is_part_name(name: str) -> bool:
    """Return whether a folder is called like a part of a set (``images``, ``train``), not like a whole one."""
    return name.lower() in _IMAGES | _LABELS or split_role(name) is not None


def split_of(key: tuple[str, ...]) -> str:
    """Return the name of the split that a file's key belongs to: its first folder that is named like one, or ``all``."""
    return next((part for part in key[:-1] if split_role(part)), ALL)


class ImageIndex:
    """The images of a set, found by the key they share with their annotation.

    Args:
        files: of the set; other files are ignored.
        root: the set's folder.
    """

    def __init__(self, files: Iterable[Path], root: Path) -> None:
        self._root = root
        self._found: dict[tuple[str, ...], list[Path]] = {}
        for path in files:
            if is_image_name(path):
                self._found.setdefault(pair_key(path, root), []).append(path)

    def __contains__(self, key: tuple[str, ...]) -> bool:
        return key in self._found

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._found)

    def get(self, key: tuple[str, ...], source: Path, name: str | None = None) -> Path:
        """Return the image of a key.

        Args:
            key: see :func:`pair_key`.
            source: the file that asks for it, for messages.
            name: the image's file name as the annotation has it, which decides where two images have the same stem.

        Raises:
            ImageFileError: there is none, or there are several and ``name`` is none of them.
        """
        images = self._found.get(key, [])
        if len(images) > 1:  # a mask does not compete with its image
            images = [image for image in images if not in_label_folder(image, self._root)] or images
        if not images:
            raise ImageFileError(f"{self._root.joinpath(*key)}: there is no image of that name, {source} names it")
        named = [image for image in images if name is not None and image.name == Path(name.replace("\\", "/")).name]
        if len(images) > 1 and len(named) != 1:
            raise ImageFileError(
                f"{images[0]} and {images[1].name} have the same stem, so {source} could belong to either: remove or "
                "rename one"
            )
        return (named if len(images) > 1 else images)[0]
