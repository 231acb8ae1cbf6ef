"""Boxes as layouts give them, and as they are trained on: in the shown image's pixels, clipped, with class numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lpflu_bench.data.image_files import ImageHeader, stored_to_shown
from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest

_TWO_FRAMES = (
    "EXIF orientation that fits its annotation's size turned and unturned (boxes are taken as the image is shown)"
)


@dataclass(frozen=True)
class LabelledBox:
    """One object as its annotation file has it.

    Attributes:
        name: of its class.
        corners: x1, y1, x2, y2 in continuous coordinates of the annotation's frame.
        where: file and object, for messages.
        difficult: VOC's mark for objects that need context to be recognised.
        crowd: COCO's mark for a group of objects: never trained on, and ignored in scoring.
    """

    name: str
    corners: tuple[float, float, float, float]
    where: str
    difficult: bool = False
    crowd: bool = False


@dataclass(frozen=True)
class RawAnnotation:
    """What a layout says of one image.

    Attributes:
        image: the image file.
        boxes: its objects.
        size: width and height of the frame the boxes are given in; null where the annotation doesn't say.
        shares: whether the corners are shares of width and height, as YOLO has them, instead of pixels.
        remarks: what was left aside, each to be counted over the set.
        image_id: the image's number in a COCO file.
    """

    image: Path
    boxes: tuple[LabelledBox, ...]
    size: tuple[int, int] | None = None
    shares: bool = False
    remarks: tuple[str, ...] = ()
    image_id: int | None = None


@dataclass(frozen=True)
class Annotation:
    """The objects of one image, in the frame in which it is shown.

    Attributes:
        image: the image file.
        height: of the image in pixels.
        width: of the image in pixels.
        boxes: float32 [N, 4] (x1, y1, x2, y2) in pixels, inside the image, of positive size.
        labels: long [N], 1 for the first class (0 is the background).
        difficult: bool [N], VOC's mark for objects that need context to be recognised.
        crowd: bool [N], COCO's mark for groups of objects.
        degenerate: names the objects left out because their box has no area, or none inside the image.
        num_clipped: how many of the boxes reached beyond the image and were clipped.
        remarks: what else was left aside.
        image_id: the image's number in a COCO file.
    """

    image: Path
    height: int
    width: int
    boxes: Tensor
    labels: Tensor
    difficult: Tensor
    crowd: Tensor
    degenerate: tuple[str, ...] = ()
    num_clipped: int = 0
    remarks: tuple[str, ...] = ()
    image_id: int | None = None


def with_remark(annotations: Sequence[RawAnnotation], remark: str, count: int) -> list[RawAnnotation]:
    """Return annotations that say of their set, ``count`` times, that something was left aside."""
    first, *rest = annotations
    return [replace(first, remarks=first.remarks + (remark,) * count), *rest]


def class_names(annotations: Iterable[RawAnnotation]) -> list[str]:
    """Return the names of the classes that occur, sorted.

    Raises:
        UserError: an object has no name.
    """
    names = set()
    for annotation in annotations:
        for box in annotation.boxes:
            if not box.name:
                raise UserError(f"{box.where}: the object has no class name")
            names.add(box.name)
    return sorted(names)


def resolve(raw: RawAnnotation, header: ImageHeader, labels: Mapping[str, int]) -> Annotation:
    """Bring an image's boxes into the frame in which it is shown, inside its borders, with class numbers.

    Where EXIF turns the image, boxes are taken in the frame that the annotation's size says: turned with the image if
    it is the stored pixels', as they are if it is the shown image's.

    Args:
        raw: what the layout says.
        header: of the image file.
        labels: number of each class name.

    Raises:
        UserError: a class isn't among the labels, or the image's size is another than the annotation's.
    """
    stored = raw.size is not None and raw.size != header.size
    if stored and raw.size != header.stored_size:
        assert raw.size is not None
        (width, height), (says_width, says_height) = header.size, raw.size
        raise UserError(
            f"{raw.image}: the image is {width}x{height} pixels, its annotation says {says_width}x{says_height}"
        )
    remarks = raw.remarks
    if raw.size is not None and header.orientation > 1 and header.size == header.stored_size:
        remarks = (*remarks, _TWO_FRAMES)
    width, height = header.stored_size if stored else header.size
    kept: list[LabelledBox] = []
    boxes: list[list[float]] = []
    degenerate: list[str] = []
    num_clipped = 0
    for box in raw.boxes:
        if box.name not in labels:
            raise UserError(f"{box.where}: class is not in data.classes{nearest(box.name, labels)}")
        left, top, right, bottom = box.corners
        if raw.shares:
            left, top, right, bottom = left * width, top * height, right * width, bottom * height
        x1, y1, x2, y2 = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        if x2 <= x1 or y2 <= y1:
            degenerate.append(box.where.rsplit("/", 1)[-1])
            continue
        # A pixel beyond is how a file looks that counts from 0 where its layout counts from 1.
        num_clipped += min(left, top) < -1 or right > width + 0.5 or bottom > height + 0.5
        boxes.append(stored_to_shown((x1, y1, x2, y2), header) if stored else [x1, y1, x2, y2])
        kept.append(box)
    return Annotation(
        image=raw.image,
        height=header.height,
        width=header.width,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([labels[box.name] for box in kept], dtype=torch.long),
        difficult=torch.tensor([box.difficult for box in kept], dtype=torch.bool),
        crowd=torch.tensor([box.crowd for box in kept], dtype=torch.bool),
        degenerate=tuple(degenerate),
        num_clipped=num_clipped,
        remarks=remarks,
        image_id=raw.image_id,
    )


def refuse_shares(corners: Sequence[float], where: str) -> None:
    """Refuse coordinates that are shares of the image's sides where a layout has pixels.

    Raises:
        UserError: all four lie in 0..1.
    """
    if all(0 <= value <= 1 for value in corners):
        raise UserError(
            f"{where}: the coordinates {', '.join(f'{value:g}' for value in corners)} are all in 0..1: they look like "
            "shares of the image's sides, and this layout has pixels"
        )


def summarize(annotations: Sequence[Annotation]) -> str:
    """Return what is peculiar in a set of annotations as part of one line; empty if nothing is.

    Counts boxes that were left out, boxes that were clipped, images without an object, and the layout's remarks.
    """
    degenerate = [name for annotation in annotations for name in annotation.degenerate]
    clipped = sum(annotation.num_clipped for annotation in annotations)
    empty = sum(len(annotation.labels) == 0 for annotation in annotations)
    notes = []
    if degenerate:
        notes.append(f"{len(degenerate)} degenerate boxes left out (the first: {degenerate[0]})")
    if clipped:
        notes.append(f"{clipped} boxes clipped to their image")
    if empty:
        notes.append(f"{empty} of {len(annotations)} images without objects kept as background")
    counts = Counter(remark for annotation in annotations for remark in annotation.remarks)
    notes += [f"{count} x {remark}" for remark, count in counts.items()]
    return ", ".join(notes)
