"""A folder of images and a folder of masks, as most people have them; ADE20K too."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from lpflu_bench.data.file_pairs import ImageIndex, in_label_folder, pair_key, split_of
from lpflu_bench.data.image_files import UNREADABLE, is_image_name
from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_layouts.label_files import read_label_file
from lpflu_bench.data.segmentation_set import Scene
from lpflu_bench.errors import UserError

Key = tuple[str, ...]
_MASK_MODES = {"1", "L", "P"}


class ImageMasks(SegmentationLayout):
    """Images and masks of the same stems in two folders; folders called like splits are the splits.

    A folder is taken for masks by its name (``masks``, ``labels``, ``annotations``, ``gt``, ``train_labels``, ...), or,
    where two folders have the same stems, because its files have one channel and the other's three. A mask may have
    ``_mask``, ``_label``, ``_gt``, ``_seg`` or ``_L`` behind its image's stem.
    """

    name: ClassVar[str] = "image_masks"
    title: ClassVar[str] = "images and masks"
    expected: ClassVar[str] = "images/NAME.jpg and masks/NAME.png, with or without train, val and test folders"

    @cached_property
    def _masks(self) -> Mapping[Key, Path]:
        named = [path for path in self.files if is_image_name(path) and in_label_folder(path, self.root)]
        if named:
            return {pair_key(path, self.root): path for path in named}
        return {(path.stem,): path for path in self._guessed()}

    @cached_property
    def _images(self) -> ImageIndex:
        masks = set(self._masks.values())
        files = [path for path in self.files if path not in masks and not in_label_folder(path, self.root)]
        if masks and not any(in_label_folder(path, self.root) for path in masks):
            # Found by their stems: the images' folder has any name, which is not part of the key.
            stems = {path.stem for path in masks}
            files = [path for path in files if path.stem in stems]
            return ImageIndex(files, files[0].parent)
        return ImageIndex(files, self.root)

    def _guessed(self) -> Sequence[Path]:
        """Return the files of the one folder of two with the same stems that has one channel."""
        folders: dict[Path, list[Path]] = {}
        for path in self.files:
            if is_image_name(path):
                folders.setdefault(path.parent, []).append(path)
        if len(folders) != 2:
            return []
        first, second = folders.values()
        if {path.stem for path in first} != {path.stem for path in second}:
            return []
        single = [part for part in (first, second) if _mode(part[0]) in _MASK_MODES]
        return single[0] if len(single) == 1 else []

    def matches(self) -> bool:
        """Return whether an image has its mask."""
        return bool(self._masks) and any(key in self._masks for key in self._images)

    @cached_property
    def _splits(self) -> Mapping[str, list[Key]]:
        splits: dict[str, list[Key]] = {}
        for key in self._images:
            splits.setdefault(split_of(key), []).append(key)
        # A split without any mask is one to predict on, not to test on.
        return {name: keys for name, keys in splits.items() if any(key in self._masks for key in keys)}

    def split_names(self) -> list[str]:
        """Return the folders called like splits, or ``all``."""
        return list(self._splits)

    def scenes(self, split: str) -> list[Scene]:
        """Return a split's pairs, sorted."""
        scenes = []
        for key in sorted(self._splits[split]):
            if key not in self._masks:
                image = self._images.get(key, self.root)
                raise UserError(f"{image} has no mask: there is none called {key[-1]}; every image needs one")
            scenes.append(Scene(self._images.get(key, self._masks[key]), self._masks[key]))
        return scenes

    def labels(self) -> Mapping[str, Any] | None:
        """Return the table of a file beside the images (``class_dict.csv``, ``labelmap.txt``, ``objectInfo150.txt``)."""
        return read_label_file(self.files)


def _mode(path: Path) -> str:
    try:
        with Image.open(path) as file:
            return file.mode
    except UNREADABLE:
        return ""
