"""Decoded and resized images as uint8, kept in memory or in one memory-mapped file: decoding is the bottleneck."""

import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lpflu_bench.errors import UserError

CacheMode = Literal["none", "memory", "disk"]
# Part of every fingerprint: goes up when the same file is decoded to other pixels (2: EXIF's orientation is applied).
_DECODER = 2


def fingerprint(paths: Iterable[Path], *settings: object) -> str:
    """Return a name for the decoded content of files: it changes with their paths, sizes, dates and the settings.

    Args:
        paths: the files, in order.
        settings: whatever else decides the content, such as the size images are resized to.
    """
    digest = hashlib.blake2b(repr((_DECODER, *settings)).encode(), digest_size=8)
    for path in paths:
        status = path.stat()
        digest.update(f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class ImageCache:
    """``length`` uint8 arrays of one shape; each is decoded on first use and kept, so only a first epoch decodes.

    A file of mode "disk" is shared by all processes of a run and by later runs. In mode "memory" the workers of one
    process share one block; every rank of a distributed run has its own.

    Args:
        decode: returns item ``i`` as uint8 of ``shape``; has to be picklable where workers are spawned.
        length: number of items.
        shape: of an item, e.g. (3, 320, 320).
        mode: ``none`` decodes every time; ``memory`` keeps ``nbytes`` of (shared) memory; ``disk`` keeps a file of
            ``nbytes`` in ``folder``.
        folder: of mode "disk"; ``~/.cache/lpflu_bench`` if null.
        key: names the content (see :func:`fingerprint`); another key is another file.

    Raises:
        UserError: there is no room for it.
    """

    def __init__(
        self,
        decode: Callable[[int], Tensor],
        length: int,
        shape: Sequence[int],
        mode: CacheMode = "none",
        folder: str | Path | None = None,
        key: str = "",
    ) -> None:
        self.decode = decode
        self.shape = (length, *shape)
        self.mode = mode
        self._items: Tensor | None = None
        self._filled: Tensor | None = None
        self._home: Path | None = None
        if mode == "memory":
            self._allocate()
        elif mode == "disk":
            self._home = self._create(Path(folder or "~/.cache/lpflu_bench").expanduser(), key)

    @property
    def nbytes(self) -> int:
        """Size of all items in bytes."""
        return math.prod(self.shape)

    @property
    def size(self) -> str:
        """Size of all items for people, such as "5.26 GB" (10^9 bytes)."""
        return f"{self.nbytes / 1e9:.2f} GB"

    def __getitem__(self, indices: Sequence[int]) -> Tensor:
        """Return the items ``indices`` as one new uint8 tensor [len(indices), *shape]."""
        if self.mode == "none":
            return torch.stack([self.decode(i) for i in indices])
        items, filled = self._open()
        for i in indices:
            if not filled[i]:
                items[i] = self.decode(i)
                filled[i] = 1  # after the item; two processes that race write the same bytes
        return items[list(indices)]

    def _allocate(self) -> None:
        shared = Path("/dev/shm")  # where Linux keeps shared memory; containers often give it 64 MB
        free = shutil.disk_usage(shared).free if shared.is_dir() else self.nbytes
        if free < self.nbytes:
            raise UserError(
                f"data.cache: memory needs {self.size} of shared memory, {shared} has {free / 1e9:.2f} GB free; "
                "use data.cache: disk (or give the container a larger --shm-size)"
            )
        self._items = torch.empty(self.shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        self._filled = torch.zeros(self.shape[0], dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]

    def _create(self, folder: Path, key: str) -> Path:
        """Lay out the empty (sparse) file and the marks of what is filled in, in one step: another process may too."""
        home = folder / f"images-{key}-{'x'.join(map(str, self.shape))}"
        if home.is_dir():
            return home
        partial: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (free := shutil.disk_usage(folder).free) < self.nbytes:
                raise UserError(
                    f"data.cache: disk needs {self.size}, {folder} has {free / 1e9:.2f} GB free; "
                    "name another data.cache_dir, or use data.cache: none"
                )
            partial = Path(tempfile.mkdtemp(dir=folder, prefix=".images-"))
            for name, shape in (("items.npy", self.shape), ("filled.npy", self.shape[:1])):
                np.lib.format.open_memmap(partial / name, mode="w+", dtype=np.uint8, shape=shape)
            partial.rename(home)
        except OSError as error:
            if not home.is_dir():
                raise UserError(f"data.cache_dir: {folder} can't be written ({error.strerror})") from error
        finally:
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)
        return home

    def _open(self) -> tuple[Tensor, Tensor]:
        if self._items is None or self._filled is None:
            assert self._home is not None
            self._items = torch.from_numpy(np.load(self._home / "items.npy", mmap_mode="r+"))
            self._filled = torch.from_numpy(np.load(self._home / "filled.npy", mmap_mode="r+"))
        return self._items, self._filled

    def __getstate__(self) -> dict[str, Any]:
        """A file is opened anew in another process, not copied to it."""
        state = self.__dict__.copy()
        if self.mode == "disk":
            state["_items"] = state["_filled"] = None
        return state
