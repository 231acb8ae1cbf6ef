"""Pairs of an image and a label file as a data set: decoded once, resized, kept as uint8."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.image_cache import CacheMode, ImageCache, fingerprint
from lpflu_bench.data.image_files import ImageFileError, read_image
from lpflu_bench.data.segmentation_labels import LabelTable, UnknownLabelError
from lpflu_bench.errors import UserError

# Pillow's names: 8-bit grey, and 8-bit indices into a palette (whose colours are for the eye alone).
_LABEL_MODES = {"L", "P"}


@dataclass(frozen=True)
class Scene:
    """An image file and its label file."""

    image: Path
    label: Path


def scene_size(scene: Scene) -> tuple[int, int]:
    """Return height and width of a scene from its files' headers, after a check that they fit together.

    Raises:
        UserError: a file is missing or unreadable, the label is not 8-bit with one channel, or the sizes differ.
    """
    sizes = []
    for path in (scene.image, scene.label):
        try:
            with Image.open(path) as file:
                sizes.append(file.size)
                mode = file.mode
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: every image needs its label file") from error
        except OSError as error:
            raise UserError(f"{path}: can't be read as an image ({error})") from error
    if mode not in _LABEL_MODES:
        raise UserError(f"{scene.label}: a label must be 8-bit with one channel (the ids), this one is {mode}")
    if sizes[0] != sizes[1]:
        (w, h), (label_w, label_h) = sizes
        raise UserError(f"{scene.label}: the label is {label_w}x{label_h} pixels, its image {scene.image.name} {w}x{h}")
    width, height = sizes[0]
    return height, width


def read_label(path: Path, table: LabelTable) -> Tensor:
    """Return the class indices of a label file, uint8 [H, W].

    Raises:
        ImageFileError: the file can't be read, or holds an id that the table doesn't know.
    """
    try:
        with Image.open(path) as file:
            ids = np.asarray(file)
    except (OSError, SyntaxError) as error:  # Pillow's PNG reader raises SyntaxError for a broken chunk
        raise ImageFileError(f"{path}: can't be read as a label ({error})") from error
    try:
        return torch.from_numpy(table.map(ids))
    except UnknownLabelError as error:
        raise ImageFileError(
            f"{path}: label id {error} is not in the label table; add it to data.labels (classes or ignore)"
        ) from error


class _Decode:
    """Decoder of item ``i``: a class, because a cache hands it to worker processes."""

    def __init__(self, scenes: Sequence[Scene], table: LabelTable, size: tuple[int, int]) -> None:
        self.scenes, self.table, self.size = scenes, table, size

    def image(self, index: int) -> Tensor:
        """Return the resized image, uint8 [3, h, w]."""
        resized: Tensor = TF.resize(read_image(self.scenes[index].image), list(self.size), antialias=True)
        return resized

    def label(self, index: int) -> Tensor:
        """Return the class indices at the label's own resolution, uint8 [H, W]."""
        return read_label(self.scenes[index].label, self.table)

    def scene(self, index: int) -> Tensor:
        """Return image and label (nearest neighbour) at training resolution as the 4 channels of uint8 [4, h, w]."""
        label = TF.resize(self.label(index)[None], list(self.size), interpolation=TF.InterpolationMode.NEAREST_EXACT)
        return torch.cat([self.image(index), label])


class _SceneSet(Dataset[tuple[Tensor, Tensor | list[Tensor]]]):
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
        self.sizes = {
            scene_size(scene) for scene in scenes
        }  # opens every header: a bad file shows now, not at step 3000
        self.decode = _Decode(self.scenes, table, size)
        self._cache, self._cache_dir = cache, cache_dir
        self._key = (table.class_names, table.lookup.tolist(), size)

    def __len__(self) -> int:
        return len(self.scenes)

    def _images_key(self, what: str) -> str:
        if self._cache != "disk":
            return ""
        files = [path for scene in self.scenes for path in (scene.image, scene.label)]
        return fingerprint(files, what, *self._key)


class TrainingScenes(_SceneSet):
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


class TestScenes(_SceneSet):
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
