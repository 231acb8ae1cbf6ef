"""Cityscapes' own layout: images by split and city, masks of label ids or of train ids."""

from functools import cached_property
from typing import ClassVar

from lpflu_bench.data.image_files import is_image_name
from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_set import Scene
from lpflu_bench.errors import UserError

IMAGES, LABELS = "leftImg8bit", "gtFine"
_IMAGE_SUFFIX = "_leftImg8bit"
_LABEL_IDS, _TRAIN_IDS = "labelIds", "labelTrainIds"


class CityscapesLayout(SegmentationLayout):
    """``leftImg8bit/<split>/<city>`` and ``gtFine/<split>/<city>``; a split is any folder in both.

    Where masks of label ids are there, they are taken; a set with train ids alone is read by those. The two are never
    mixed.
    """

    name: ClassVar[str] = "cityscapes"
    title: ClassVar[str] = "Cityscapes"
    expected: ClassVar[str] = (
        f"{IMAGES}/SPLIT/CITY/NAME{_IMAGE_SUFFIX}.png and {LABELS}/SPLIT/CITY/NAME_{LABELS}_{_LABEL_IDS}.png"
    )

    def matches(self) -> bool:
        """Return whether there is a folder of images."""
        return (self.root / IMAGES).is_dir()

    def split_names(self) -> list[str]:
        """Return the folders of images."""
        return sorted(path.name for path in (self.root / IMAGES).iterdir() if path.is_dir())

    @cached_property
    def _kind(self) -> str:
        if not (self.root / LABELS).is_dir():
            raise UserError(f"data.root: {self.root / LABELS} is missing; the labels come as gtFine_trainvaltest.zip")
        has_label_ids = any(path.name.endswith(f"_{_LABEL_IDS}.png") for path in self.files)
        has_train_ids = any(path.name.endswith(f"_{_TRAIN_IDS}.png") for path in self.files)
        return _TRAIN_IDS if has_train_ids and not has_label_ids else _LABEL_IDS

    @property
    def train_ids(self) -> bool:
        """Whether there are masks of train ids alone."""
        return self._kind == _TRAIN_IDS

    def scenes(self, split: str) -> list[Scene]:
        """Return a split's pairs, sorted by city and name."""
        folder = self.root / IMAGES / split
        scenes = []
        for image in self.files:
            if not (image.is_relative_to(folder) and is_image_name(image) and image.stem.endswith(_IMAGE_SUFFIX)):
                continue
            stem = image.stem.removesuffix(_IMAGE_SUFFIX)
            place = self.root / LABELS / split / image.parent.relative_to(folder)
            label = place / f"{stem}_{LABELS}_{self._kind}.png"
            if not label.is_file():
                other = place / f"{stem}_{LABELS}_{_TRAIN_IDS}.png"
                mixed = (
                    f" ({other.name} alone is there: label ids and train ids are not mixed)" if other.is_file() else ""
                )
                raise UserError(f"{label} is missing: every image needs its label file{mixed}")
            scenes.append(Scene(image, label))
        if not scenes:
            raise UserError(f"{folder} is empty: expected CITY/NAME{_IMAGE_SUFFIX}.png in it")
        return scenes
