"""VOC's SegmentationClass: masks with a palette, and image lists, in a devkit or in one folder."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lpflu_bench.data.file_pairs import ImageIndex, pair_key
from lpflu_bench.data.image_lists import find_names, read_list
from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_layouts.label_files import read_label_file
from lpflu_bench.data.segmentation_set import Scene
from lpflu_bench.data.splits import ALL
from lpflu_bench.errors import UserError

MASKS = "SegmentationClass"


class VocSegmentation(SegmentationLayout):
    """``JPEGImages`` and ``SegmentationClass`` with lists in ``ImageSets/Segmentation``: ``YEAR/LIST``, or ``LIST``."""

    name: ClassVar[str] = "voc_segmentation"
    title: ClassVar[str] = "VOC SegmentationClass"
    expected: ClassVar[str] = (
        f"[VOCdevkit/VOC2012/]JPEGImages/NAME.jpg and {MASKS}/NAME.png, ImageSets/Segmentation/LIST.txt"
    )

    @cached_property
    def _folders(self) -> Mapping[str, Path]:
        """Folders by the prefix that their lists' names have."""
        folders = {path.parent.parent for path in self.files if path.parent.name == MASKS}
        names = {folder: f"{folder.name.removeprefix('VOC')}/" for folder in sorted(folders)}
        return {"" if folder == self.root else name: folder for folder, name in names.items()}

    @cached_property
    def _lists(self) -> Mapping[str, Path]:
        return {
            f"{prefix}{path.stem}": path
            for prefix, folder in self._folders.items()
            for path in sorted((folder / "ImageSets" / "Segmentation").glob("*.txt"))
        }

    def matches(self) -> bool:
        """Return whether there are masks."""
        return bool(self._folders)

    def split_names(self) -> list[str]:
        """Return the lists' names, and ``all`` of each folder."""
        return [*self._lists, *(f"{prefix}{ALL}" for prefix in self._folders)]

    def scenes(self, split: str) -> list[Scene]:
        """Return the pairs of a list, in its order."""
        source = self._lists.get(split)
        prefix = split.rpartition("/")[0]
        folder = self._folders[f"{prefix}/" if prefix else ""]
        files = [path for path in self.files if path.is_relative_to(folder)]
        images = ImageIndex((path for path in files if path.parent.name != MASKS), folder)
        masks = {path.stem: path for path in files if path.parent.name == MASKS}
        if source is None:
            stems, source = sorted(masks), folder / MASKS
        else:
            known = {"/".join(key) for key in images}
            stems = find_names(read_list(source), known, source)
        scenes = []
        for stem in stems:
            if stem not in masks:
                raise UserError(f"{folder / MASKS / stem}.png is missing: every image in {source} needs its mask")
            scenes.append(Scene(images.get(pair_key(masks[stem], folder), source), masks[stem]))
        if not scenes:
            raise UserError(f"{source} is empty: it should name at least one image")
        return scenes

    def labels(self) -> str | Mapping[str, Any] | None:
        """Return the table of ``labelmap.txt`` (CVAT), or VOC's 21 classes."""
        return read_label_file(self.files) or "voc21"
