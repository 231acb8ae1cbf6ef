"""Image files with one class each as a data set: decoded to squares, once or in every epoch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.image_cache import CacheMode, ImageCache, fingerprint
from lpflu_bench.data.image_files import in_threads, read_image
from lpflu_bench.data.labelled_images import LabelledImages

_SAMPLE = 2000


class _Decode:
    """Decoder of item ``i``: a class, because a cache hands it to worker processes."""

    def __init__(self, paths: Sequence[Path], size: int, keep_aspect: bool) -> None:
        self.paths, self.size, self.keep_aspect = paths, size, keep_aspect

    def __call__(self, index: int) -> Tensor:
        image = read_image(self.paths[index], at_least=self.size)
        square: Tensor
        if self.keep_aspect:
            square = TF.center_crop(TF.resize(image, [self.size], antialias=True), [self.size, self.size])
        else:
            square = TF.resize(image, [self.size, self.size], antialias=True)
        return square


class ImageFiles(LabelledImages):
    """Image files and their classes, as squares of uint8.

    Args:
        paths: of the files.
        targets: classes, long [N].
        size: height and width of the squares.
        keep_aspect: resize the shorter side and cut the longer one, instead of resizing both sides.
    """

    def __init__(self, paths: Sequence[Path], targets: Tensor, size: int, keep_aspect: bool = False) -> None:
        self.paths = list(paths)
        self.targets = targets
        self._settings = (size, keep_aspect)
        self._decode = _Decode(self.paths, size, keep_aspect)
        self._cache = ImageCache(self._decode, len(self.paths), (3, size, size))
        self._decoded: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all squares."""
        return self._cache.nbytes

    @property
    def in_memory(self) -> bool:
        """Whether all squares are decoded and kept in memory."""
        return self._decoded is not None

    def cached(
        self, mode: CacheMode, folder: str | None = None, *, name: str = "", silent: bool = False
    ) -> "ImageFiles":
        """Return the same files with their squares kept in memory, all decoded now, or on disk.

        Args:
            mode: see :class:`ImageCache`.
            folder: of a cache on disk.
            name: of the set, for the progress bar.
            silent: no progress bar.
        """
        files = ImageFiles(self.paths, self.targets, *self._settings)
        if mode == "memory":
            decoded = files._decoded = torch.empty(files._cache.shape, dtype=torch.uint8)

            def decode(index: int) -> None:
                decoded[index] = files._decode(index)

            in_threads(decode, range(len(files)), f"reading {len(files)} {name} images", silent=silent)
        elif mode == "disk":
            key = fingerprint(self.paths, "images", *self._settings)
            shape = files._cache.shape[1:]
            files._cache = ImageCache(files._decode, len(files), shape, mode=mode, folder=folder, key=key)
        return files

    def images_at(self, indices: Sequence[int]) -> Tensor:
        """Return squares, uint8 [len(indices), 3, S, S]."""
        if self._decoded is None:
            return self._cache[indices]
        return self._decoded.index_select(0, torch.tensor(indices, device=self._decoded.device))

    def sample_indices(self) -> range:
        """Return at most 2,000 images, evenly spaced: to decode all of them may take hours."""
        return range(0, len(self), -(-len(self) // _SAMPLE))

    def subset(self, indices: Tensor) -> "ImageFiles":
        """Return some of the files."""
        chosen = torch.arange(len(self))[indices]
        return ImageFiles([self.paths[i] for i in chosen.tolist()], self.targets[chosen], *self._settings)

    def followed_by(self, others: "ImageFiles") -> "ImageFiles":
        """Return these files and others."""
        return ImageFiles(self.paths + others.paths, torch.cat([self.targets, others.targets]), *self._settings)

    def to(self, device: torch.device) -> "ImageFiles":
        """Move what is in memory to a device."""
        assert self._decoded is not None
        self._decoded, self.targets = self._decoded.to(device), self.targets.to(device)
        return self
