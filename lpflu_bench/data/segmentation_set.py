"""Pairs of an image and a label file as a data set: decoded once, resized, kept as uint8."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.image_cache import CacheMode, ImageCache, fingerprint
from lpflu_bench.data.image_files import (
    UNREADABLE,
    ImageFileError,
    ImageHeader,
    in_threads,
    read_header,
    read_image,
    turn,
)
from lpflu_bench.data.segmentation_labels import LabelTable, UnknownLabelError
from lpflu_bench.errors import UserError

# Pillow's names. Indices into a palette are ids, whose colours are for the eye, unless the table is one of colours.
_ID_MODES = {"1", "L", "P"}
_COLOR_MODES = {"P", "RGB", "RGBA"}


@dataclass(frozen=True)
class Scene:
    """An image file and its label file."""

    image: Path
    label: Path


def scene_header(scene: Scene, table: LabelTable) -> ImageHeader:
    """Return the header of a scene's image, after a check that its files fit together.

    Raises:
        UserError: a file is missing or unreadable, the label is of another kind than the table, or the sizes differ.
    """
    header = read_header(scene.image)
    try:
        with Image.open(scene.label) as file:
            size, mode = file.size, file.mode
    except FileNotFoundError as error:
        raise UserError(f"{scene.label} is missing: every image needs its label file") from error
    except UNREADABLE as error:
        raise UserError(f"{scene.label}: can't be read as an image ({error})") from error
    _check_mode(scene.label, mode, colors=table.colors is not None)
    if mode == "1" and len(table.class_names) > 2:
        raise UserError(f"{scene.label}: a black and white label can't hold {len(table.class_names)} classes")
    if size not in (header.size, header.stored_size):
        (w, h), (label_w, label_h) = header.size, size
        raise UserError(f"{scene.label}: the label is {label_w}x{label_h} pixels, its image {scene.image.name} {w}x{h}")
    return header


def _check_mode(label: Path, mode: str, *, colors: bool) -> None:
    if not colors and mode not in _ID_MODES:
        hint = "; for a mask of colours give a colour for each class in data.labels" if mode in _COLOR_MODES else ""
        raise ImageFileError(f"{label}: a label must be 8-bit with one channel (the ids), this one is {mode}{hint}")
    if colors and mode not in _COLOR_MODES:
        raise ImageFileError(f"{label}: data.labels has colours, but this label is {mode}, not RGB or with a palette")


def is_color_mask(path: Path) -> bool:
    """Return whether a label file has RGB colours instead of ids.

    Raises:
        UserError: it can't be read.
    """
    return read_header(path).mode in {"RGB", "RGBA"}


def read_pixels(path: Path, *, colors: bool) -> NDArray[np.uint8]:
    """Return what a label file stores: ids [H, W], or RGB colours [H, W, 3].

    Raises:
        ImageFileError: the file can't be read, or is of another kind.
    """
    try:
        with Image.open(path) as file:
            _check_mode(path, file.mode, colors=colors)
            pixels = np.asarray(file.convert("RGB") if colors else file)
    except ImageFileError:
        raise
    except UNREADABLE as error:
        raise ImageFileError(f"{path}: can't be read as a label ({error})") from error
    return pixels.astype(np.uint8, copy=False)  # black and white comes as booleans


def read_label(scene: Scene, table: LabelTable, header: ImageHeader) -> Tensor:
    """Return the class indices of a scene's label, uint8 [H, W], as the image is shown.

    A label of the stored pixels' size is turned with its image, where EXIF turns that.

    Raises:
        ImageFileError: the file can't be read, or holds an id or colour that the table doesn't know.
    """
    try:
        classes = table.map(read_pixels(scene.label, colors=table.colors is not None))
    except UnknownLabelError as error:
        what = "label id" if table.colors is None else "colour"
        raise ImageFileError(
            f"{scene.label}: {what} {error} is not in the label table; add it to data.labels (classes or ignore)"
        ) from error
    if classes.shape != (header.height, header.width):
        classes = turn(classes, header.orientation)
    return torch.from_numpy(classes)


class _Decode:
    """Decoder of item ``i``: a class, because a cache hands it to worker processes."""

    def __init__(
        self, scenes: Sequence[Scene], headers: Sequence[ImageHeader], table: LabelTable, size: tuple[int, int]
    ) -> None:
        self.scenes, self.headers, self.table, self.size = scenes, headers, table, size

    def image(self, index: int) -> Tensor:
        """Return the resized image, uint8 [3, h, w]."""
        resized: Tensor = TF.resize(read_image(self.scenes[index].image), list(self.size), antialias=True)
        return resized

    def label(self, index: int) -> Tensor:
        """Return the class indices at the label's own resolution, uint8 [H, W]."""
        return read_label(self.scenes[index], self.table, self.headers[index])

    def scene(self, index: int) -> Tensor:
        """Return image and label (nearest neighbour) at training resolution as the 4 channels of uint8 [4, h, w]."""
        label = TF.resize(self.label(index)[None], list(self.size), interpolation=TF.InterpolationMode.NEAREST_EXACT)
        return torch.cat([self.image(index), label])


class SceneSet(Dataset[tuple[Tensor, Tensor | list[Tensor]]]):
    """What training and test sets share; batches are read whole (``__getitems__``), one copy from the cache each."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        table: LabelTable,
        size: tuple[int, int],
        cache: CacheMode = "none",
        cache_dir: str | None = None,
    ) -> None:
        self.scenes = list(scenes)
        # Opens every header: a bad file shows now, not at step 3000.
        look = partial(scene_header, table=table)
        headers = in_threads(look, self.scenes, f"looking at {len(scenes)} scenes")
        self.sizes = {(header.height, header.width) for header in headers}
        self.decode = _Decode(self.scenes, headers, table, size)
        self._cache, self._cache_dir = cache, cache_dir
        self._key = (table.key, size)

    def __len__(self) -> int:
        return len(self.scenes)

    def _images_key(self, what: str) -> str:
        if self._cache != "disk":
            return ""
        files = [path for scene in self.scenes for path in (scene.image, scene.label)]
        return fingerprint(files, what, *self._key)


class TrainingScenes(SceneSet):
    """Images uint8 [B, 3, h, w] and masks uint8 [B, h, w], both at training resolution.

    Args:
        scenes: the pairs of files.
        table: the label table.
        size: height and width images and masks are resized to.
        cache: where decoded scenes are kept (see :class:`ImageCache`).
        cache_dir: folder of a cache on disk.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        table: LabelTable,
        size: tuple[int, int],
        cache: CacheMode = "none",
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(scenes, table, size, cache, cache_dir)
        self._scenes = ImageCache(
            self.decode.scene, len(self), (4, *size), mode=cache, folder=cache_dir, key=self._images_key("scenes")
        )

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        scenes = self._scenes[indices]
        return scenes[:, :3], scenes[:, 3]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, masks = self.__getitems__([index])
        return images[0], masks[0]


class TestScenes(SceneSet):
    """Images uint8 [B, 3, h, w] at the network's resolution, and a list of masks uint8 [H, W] at the labels' own.

    Masks of one size are cached like the images; masks of different sizes are decoded each time.

    Args:
        scenes: the pairs of files.
        table: the label table.
        size: height and width images are resized to.
        cache: where decoded files are kept (see :class:`ImageCache`).
        cache_dir: folder of a cache on disk.
    """

    __test__ = False  # pytest collects classes that are called Test...

    def __init__(
        self,
        scenes: Sequence[Scene],
        table: LabelTable,
        size: tuple[int, int],
        cache: CacheMode = "none",
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(scenes, table, size, cache, cache_dir)
        self._images = ImageCache(
            self.decode.image, len(self), (3, *size), mode=cache, folder=cache_dir, key=self._images_key("images")
        )
        self._masks: ImageCache | None = None
        if len(self.sizes) == 1:
            self._masks = ImageCache(
                self.decode.label,
                len(self),
                next(iter(self.sizes)),
                mode=cache,
                folder=cache_dir,
                key=self._images_key("masks"),
            )

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        cached = self._masks
        masks = [self.decode.label(i) for i in indices] if cached is None else list(cached[indices])
        return self._images[indices], masks

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, masks = self.__getitems__([index])
        return images[0], masks[0]
