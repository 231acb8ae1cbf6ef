"""The VOC layout on disk: devkit folders, image lists, and one XML file of boxes for each image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import torch
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse
from torch import Tensor

from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest

DEVKIT = "VOCdevkit"
EVERY_ANNOTATED = "all"
"""The list of every image that has an annotation file, whether an official list names it or not."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Annotation:
    """The objects of one image.

    Attributes:
        image: the image file.
        height: of the image in pixels.
        width: of the image in pixels.
        boxes: float32 [N, 4] (x1, y1, x2, y2) in pixels, inside the image, of positive size.
        labels: long [N], 1 for the first class (0 is the background).
        difficult: bool [N], VOC's mark for objects that need context to be recognised.
        degenerate: names the objects left out because their box has no area, or none inside the image.
        num_clipped: how many of the boxes reached beyond the image and were clipped.
    """

    image: Path
    height: int
    width: int
    boxes: Tensor
    labels: Tensor
    difficult: Tensor
    degenerate: tuple[str, ...] = ()
    num_clipped: int = 0


def devkit(root: Path) -> Path:
    """Return ``root/VOCdevkit``.

    Raises:
        UserError: it isn't there; says which folder was expected if it is nearby.
    """
    if (root / DEVKIT).is_dir():
        return root / DEVKIT
    absolute = root.resolve()
    for folder in (absolute, absolute.parent, absolute.parent.parent):
        if folder.name == DEVKIT:
            raise UserError(
                f"data.root: {root} is one level too deep: pass {folder.parent}, the folder that holds {DEVKIT}"
            )
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if (folder / DEVKIT).is_dir():
            raise UserError(f"data.root: {root} is a parent of the dataset folder: pass {folder}, which holds {DEVKIT}")
    raise UserError(f"data.root: {root} has no folder {DEVKIT}; expected {root / DEVKIT / 'VOC2012' / 'Annotations'}")


def read_list(root: Path, name: str) -> list[tuple[Path, Path]]:
    """Return the (image file, annotation file) pairs of an image list, in its order.

    Args:
        root: the folder that holds ``VOCdevkit``.
        name: ``YEAR/LIST`` stands for ``VOCdevkit/VOC<YEAR>/ImageSets/Main/<LIST>.txt``; ``YEAR/all`` for every
            annotated image of that year; several are joined by "+", as in ``2007/trainval+2012/trainval``.

    Raises:
        UserError: a folder or file is missing, or the list is empty or names no image.
    """
    return [pair for part in name.split("+") for pair in _read_one_list(devkit(root), part.strip())]


def _read_one_list(kit: Path, name: str) -> list[tuple[Path, Path]]:
    year, slash, list_name = name.partition("/")
    if not (year and slash and list_name):
        raise UserError(f"data: image list {name!r} is not YEAR/LIST, such as 2012/trainval or 2012/{EVERY_ANNOTATED}")
    folder = kit / f"VOC{year}"
    for needed in (folder, folder / "JPEGImages", folder / "Annotations"):
        if not needed.is_dir():
            there = ", ".join(sorted(path.name for path in needed.parent.iterdir() if path.is_dir())) or "no folder"
            raise UserError(f"{needed} is missing ({needed.parent} has {there})")
    if list_name == EVERY_ANNOTATED:
        source = folder / "Annotations"
        stems = sorted(path.stem for path in source.glob("*.xml"))
    else:
        source = folder / "ImageSets" / "Main" / f"{list_name}.txt"
        stems = _stems(source)
    if not stems:
        raise UserError(f"{source} is empty: it should name at least one image")
    images = {path.stem: path for path in (folder / "JPEGImages").iterdir() if not path.name.startswith(".")}
    if (missing := next((stem for stem in stems if stem not in images), None)) is not None:
        raise UserError(f"{folder / 'JPEGImages' / missing}.jpg is missing, {source} names it")
    return [(images[stem], folder / "Annotations" / f"{stem}.xml") for stem in stems]


def _stems(source: Path) -> list[str]:
    if not source.is_file():
        there = sorted(path.stem for path in source.parent.glob("*.txt") if "_" not in path.stem)
        raise UserError(f"{source} is missing (lists there: {', '.join([*there, EVERY_ANNOTATED])})")
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a text file of image names ({error.reason})") from error
    # The lists of one class (cat_train.txt) have a second column that says whether the class is in the image.
    return [words[0] for line in lines if (words := line.split())]


def read_annotation(file: Path, image: Path, classes: Mapping[str, int]) -> Annotation:
    """Read an annotation file.

    VOC counts pixels from 1 and includes the last one; boxes here are corners in continuous coordinates, so x1 and y1
    are one less than in the file. A box with ``xmax <= xmin`` or ``ymax <= ymin``, or one that lies outside the image,
    is left out; one that reaches beyond the image is clipped. Both are counted.

    Args:
        file: the XML file.
        image: its image.
        classes: label of each class name.

    Raises:
        UserError: one line that names file and object.
    """
    root = _parse(file)
    width, height = (_image_side(root, side, file) for side in ("width", "height"))
    boxes: list[list[float]] = []
    labels: list[int] = []
    difficult: list[bool] = []
    degenerate: list[str] = []
    num_clipped = 0
    for number, element in enumerate(root.findall("object"), start=1):
        name = (element.findtext("name") or "").strip()
        where = f"{file}: object {number} ({name or 'no name'})"
        if name not in classes:
            raise UserError(f"{where}: class is not in data.classes{nearest(name, classes)}")
        xmin, ymin, xmax, ymax = _corners(element, where)
        x1, y1 = max(xmin - 1.0, 0.0), max(ymin - 1.0, 0.0)
        x2, y2 = min(xmax, float(width)), min(ymax, float(height))
        if xmax <= xmin or ymax <= ymin or x2 <= x1 or y2 <= y1:
            degenerate.append(f"{file.name} object {number} ({name})")
            continue
        num_clipped += xmin < 0 or ymin < 0 or xmax > width or ymax > height  # 0: files that count pixels from 0
        boxes.append([x1, y1, x2, y2])
        labels.append(classes[name])
        difficult.append((element.findtext("difficult") or "0").strip() == "1")
    return Annotation(
        image=image,
        height=height,
        width=width,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        difficult=torch.tensor(difficult, dtype=torch.bool),
        degenerate=tuple(degenerate),
        num_clipped=num_clipped,
    )


def _parse(file: Path) -> Element:
    try:
        root: Element | None = parse(file).getroot()
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing: every listed image needs its annotation") from error
    except DefusedXmlException as error:
        raise UserError(f"{file}: refused, an annotation has no use for XML entities ({error!r})") from error
    except (ParseError, ValueError, LookupError) as error:
        raise UserError(f"{file}: not well-formed XML ({error})") from error
    assert root is not None  # an empty file is not well-formed
    return root


def _image_side(root: Element, side: str, file: Path) -> int:
    text = root.findtext(f"size/{side}")
    if text is None:
        raise UserError(f"{file}: lacks size/{side} (the image's {side} in pixels)")
    pixels = _number(text)
    if pixels is None or pixels < 1:
        raise UserError(f"{file}: size/{side} is {text!r}, expected the image's {side} in pixels")
    return int(pixels)


def _corners(element: Element, where: str) -> list[float]:
    box = element.find("bndbox")
    if box is None:
        raise UserError(f"{where}: lacks bndbox")
    corners = []
    for corner in _CORNERS:
        text = box.findtext(corner)
        value = None if text is None else _number(text)
        if value is None:
            raise UserError(f"{where}: bndbox/{corner} is {text!r}, expected a number")
        corners.append(value)
    return corners


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def summarize(annotations: Sequence[Annotation]) -> str:
    """Return what is peculiar in a set of annotations as part of one line; empty if nothing is.

    Counts boxes that were left out, boxes that were clipped, and images without an object.
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
    return ", ".join(notes)
