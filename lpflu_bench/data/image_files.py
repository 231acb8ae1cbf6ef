"""Image files of any common format, always as 8-bit RGB in the orientation in which they are shown."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from rich.console import Console
from rich.progress import track
from torch import Tensor

from lpflu_bench.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm"})
"""File name endings, in lower case, of what is taken for an image."""

# What Pillow raises for a file that it can't decode; SyntaxError is a broken PNG chunk.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

# EXIF's orientation: how the stored pixels are turned to be shown.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EIGHT_BIT = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}
_CHUNK = 64  # files that a thread takes at once
_FEW = 1000  # that need no progress bar

Item = TypeVar("Item")
Result = TypeVar("Result")


class ImageFileError(UserError):
    """An image or label file that can't be used; its message stays one line on its way out of a loader's process."""

    def __init__(self, message: str) -> None:
        # A DataLoader's worker hands an exception over as its type and the text of its whole trace.
        super().__init__(message.strip().splitlines()[-1].rpartition(f"{type(self).__name__}: ")[2])


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before its pixels are read.

    Attributes:
        width: of the image as it is shown, in pixels.
        height: of the image as it is shown, in pixels.
        orientation: EXIF's, 1 to 8; 1 where there is none.
        mode: Pillow's name of the stored pixels' kind, such as ``RGB`` or ``I;16``.
    """

    width: int
    height: int
    orientation: int
    mode: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as the image is shown."""
        return self.width, self.height

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the pixels as they are stored, before EXIF's orientation turns them."""
        return (self.height, self.width) if self.orientation >= 5 else self.size

    @property
    def bits(self) -> int:
        """Bits of a stored value; 0 for a mode that is refused."""
        return 8 if self.mode in _EIGHT_BIT else 16 if self.mode in _SIXTEEN_BIT else 0


def is_image_name(path: Path) -> bool:
    """Return whether a file's name is an image's; hidden files (macOS leaves ``._NAME`` beside each) are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, sorted; what is hidden (``._NAME``, ``.DS_Store``, ``__MACOSX``) is left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            yield from visible_files(path)
        else:
            yield path


def read_header(path: Path) -> ImageHeader:
    """Return size, orientation and mode of an image file without decoding it.

    Raises:
        ImageFileError: the file is missing, no image, or of a kind that :func:`read_image` refuses.
    """
    try:
        with Image.open(path) as file:
            header = _header(file)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    _refuse_other_modes(path, header.mode)
    return header


def read_image(path: Path, at_least: int | None = None) -> Tensor:
    """Return an image file as uint8 RGB [3, H, W], turned as EXIF's orientation says.

    Grey becomes three equal channels, CMYK and palettes become RGB, transparency is dropped, and of 16-bit values the
    high byte is kept (0 to 65535 becomes 0 to 255). Animations and multi-page files give their first image.

    Args:
        path: of the file.
        at_least: a JPEG may come at a half, a quarter or an eighth of its size, as long as both sides have this many
            pixels, which takes a fraction of the time; null: at its own size.

    Raises:
        ImageFileError: the file is missing, no image, truncated, or has 32-bit or float values, whose range isn't known.
    """
    try:
        with Image.open(path) as file:
            turn = _TURNS.get(1 if file.format == "TIFF" else _header(file).orientation)  # Pillow turns TIFF itself
            _refuse_other_modes(path, file.mode)
            if at_least is not None and file.mode in ("L", "RGB"):
                file.draft(file.mode, (at_least, at_least))
            image: Image.Image = file
            if file.mode in _SIXTEEN_BIT:
                image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
            if image.mode != "RGB":
                image = image.convert("RGB")
            pixels = np.array(image if turn is None else image.transpose(turn))
    except ImageFileError:
        raise
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return stored pixels [H, W] as EXIF's orientation shows them."""
    return np.asarray(Image.fromarray(pixels).transpose(_TURNS[orientation])) if orientation in _TURNS else pixels


def stored_to_shown(corners: Sequence[float], header: ImageHeader) -> list[float]:
    """Turn a box given in the stored pixels' frame into the frame in which the image is shown.

    Args:
        corners: x1, y1, x2, y2 in the stored frame.
        header: of the image.
    """
    x1, y1, x2, y2 = corners
    width, height = header.stored_size
    if header.orientation in (2, 3, 7, 8):
        x1, x2 = width - x2, width - x1
    if header.orientation in (3, 4, 6, 7):
        y1, y2 = height - y2, height - y1
    return [y1, x1, y2, x2] if header.orientation >= 5 else [x1, y1, x2, y2]


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], description: str, *, silent: bool = False
) -> list[Result]:
    """Return ``function`` of each item, in order, computed in threads under a progress bar.

    Args:
        function: reads or decodes; the first exception it raises stops the rest.
        items: what it is called with.
        description: what the bar says.
        silent: no bar; there is none for a few items in any case.
    """
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    results: list[Result] = []

    def work(chunk: Iterable[Item]) -> list[Result]:
        return [function(item) for item in chunk]

    with ThreadPoolExecutor(cpu_count()) as pool:
        try:
            for part in track(
                pool.map(work, chunks),
                description=description,
                total=len(chunks),
                console=Console(stderr=True),
                disable=silent or len(items) < _FEW,
                transient=True,
            ):
                results += part
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _header(file: ImageFile.ImageFile) -> ImageHeader:
    # PNG's own getexif decodes the image, to look for EXIF after the pixels; nobody writes it there.
    orientation = Image.Image.getexif(file).get(ExifTags.Base.Orientation, 1)
    if orientation not in _TURNS:
        orientation = 1
    width, height = file.size
    if orientation >= 5 and file.format != "TIFF":  # whose size Pillow gives as shown
        width, height = height, width
    return ImageHeader(width, height, orientation, file.mode)


def _refuse_other_modes(path: Path, mode: str) -> None:
    if mode not in _EIGHT_BIT | _SIXTEEN_BIT:
        raise ImageFileError(
            f"{path}: its values are of the kind {mode} (32-bit or float), whose range is not known; save it with 8 or 16 bits"
        )


def _unreadable(path: Path, error: Exception) -> ImageFileError:
    if isinstance(error, FileNotFoundError):
        return ImageFileError(f"{path} is missing")
    if isinstance(error, UnidentifiedImageError):
        what = "empty" if path.is_file() and not path.stat().st_size else "not in a known image format"
        return ImageFileError(f"{path}: can't be read as an image (the file is {what})")
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ImageFileError(f"{path}: can't be read as an image ({reason})")
