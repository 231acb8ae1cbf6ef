"""One sample of a data set, decoded and described; one function for each kind of data set."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from lpflu_bench.data.detection_set import DetectionSet
from lpflu_bench.data.image_files import ImageFileError, read_header, read_image
from lpflu_bench.data.image_set import ImageFiles
from lpflu_bench.data.labelled_images import LabelledImages
from lpflu_bench.data.segmentation_labels import IGNORE
from lpflu_bench.data.segmentation_set import SceneSet

_TWELVE_BITS = 4095


@dataclass(frozen=True)
class Sample:
    """What one sample is.

    Attributes:
        place: its file, or its number in the set.
        size: width and height as shown; null if the image can't be read.
        bits: of a stored value.
        orientation: EXIF's, 1 where there is none.
        digest: of the decoded pixels: equal for equal images, whatever their files.
        counts: objects, pixels or images of each class index.
        boxes: width and height of each box in pixels of the image.
        errors: what would stop a training.
        warnings: what would not, but is odd.
    """

    place: str
    size: tuple[int, int] | None = None
    bits: int = 8
    orientation: int = 1
    digest: str = ""
    counts: Mapping[int, int] = field(default_factory=dict)
    boxes: tuple[tuple[float, float], ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@singledispatch
def describe(dataset: Any, index: int) -> Sample:
    """Return what sample ``index`` of a data set is, its image decoded."""
    raise TypeError(f"no description of {type(dataset).__name__}")


@describe.register
def _(dataset: ImageFiles, index: int) -> Sample:
    return _image_sample(dataset.paths[index], counts={int(dataset.targets[index]): 1})


@describe.register
def _(dataset: LabelledImages, index: int) -> Sample:
    image, target = dataset[index]
    size = image.shape[-1], image.shape[-2]
    return Sample(f"image {index}", size, digest=_digest(image), counts={int(target): 1})


@describe.register
def _(dataset: DetectionSet, index: int) -> Sample:
    annotation = dataset.annotations[index]
    counts = Counter(int(label) - 1 for label in annotation.labels)
    sides = annotation.boxes[:, 2:] - annotation.boxes[:, :2]
    small = sides * dataset.images.shape[-1] / sides.new_tensor([annotation.width, annotation.height])
    odd = [f"{name}: box without area or outside its image" for name in annotation.degenerate]
    if annotation.num_clipped:
        odd.append(f"{annotation.image}: {annotation.num_clipped} boxes reach beyond the image")
    if tiny := int((small.amin(1) < 1).sum()) if len(small) else 0:
        odd.append(f"{annotation.image}: {tiny} boxes are less than a pixel wide or high at data.image_size")
    odd += annotation.remarks
    return _image_sample(
        annotation.image, counts=dict(counts), boxes=tuple((w, h) for w, h in sides.tolist()), warnings=tuple(odd)
    )


@describe.register
def _(dataset: SceneSet, index: int) -> Sample:
    scene = dataset.scenes[index]
    try:
        classes = dataset.decode.label(index)
    except ImageFileError as error:
        return _image_sample(scene.image, errors=(str(error),))
    found, counts = np.unique(classes.numpy(), return_counts=True)
    by_class = {int(c): int(n) for c, n in zip(found, counts, strict=True) if c != IGNORE}
    odd = () if by_class else (f"{scene.label}: every pixel is ignored",)
    return _image_sample(scene.image, counts=by_class, warnings=odd)


def _image_sample(path: Path, **more: Any) -> Sample:
    try:
        header = read_header(path)
        image = read_image(path)
    except ImageFileError as error:
        return Sample(str(path), **{**more, "errors": (*more.get("errors", ()), str(error))})
    odd = more.pop("warnings", ())
    if header.bits == 16 and _largest_value(path) <= _TWELVE_BITS:
        odd = (*odd, f"{path}: 16-bit values that use 12 bits or fewer: the image will be almost black")
    return Sample(str(path), header.size, header.bits, header.orientation, _digest(image), warnings=odd, **more)


def _largest_value(path: Path) -> int:
    with Image.open(path) as file:
        return int(np.asarray(file).max())


def _digest(image: Tensor) -> str:
    pixels = image.cpu().numpy()
    return hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=12).hexdigest()
