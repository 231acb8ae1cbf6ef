"""One image's boxes in VOC's XML."""

import math
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from lpflu_bench.data.annotations import LabelledBox, RawAnnotation, refuse_shares
from lpflu_bench.errors import UserError

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NO_SIZE = "annotation without an image size (boxes are taken as the image is shown)"


def read_xml(file: Path, find_image: Callable[[str | None], Path]) -> RawAnnotation:
    """Read an annotation file.

    VOC counts pixels from 1 and includes the last one; boxes here are corners in continuous coordinates, so x1 and y1
    are one less than in the file. A box with ``xmax <= xmin`` or ``ymax <= ymin`` has no area.

    Args:
        file: the XML file.
        find_image: returns its image, given the file name in the XML.

    Raises:
        UserError: one line that names file and object.
    """
    root = _parse(file)
    boxes = []
    for number, element in enumerate(root.findall("object"), start=1):
        name = (element.findtext("name") or "").strip()
        where = f"{file}: object {number} ({name or 'no name'})"
        xmin, ymin, xmax, ymax = corners = _corners(element, where)
        if xmax > xmin and ymax > ymin:
            refuse_shares(corners, where)
            box = (xmin - 1.0, ymin - 1.0, xmax, ymax)
        else:
            box = (xmin, ymin, xmin, ymin)
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        boxes.append(LabelledBox(name, box, f"{file}: object {number} ({name})", difficult))
    size = _size(root, file)
    image = find_image(root.findtext("filename"))
    return RawAnnotation(image, tuple(boxes), size, remarks=() if size else (_NO_SIZE,))


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


def _size(root: Element, file: Path) -> tuple[int, int] | None:
    if root.find("size") is None:
        return None
    sides = []
    for side in ("width", "height"):
        text = root.findtext(f"size/{side}")
        pixels = None if text is None else _number(text)
        if pixels is None or pixels < 1:
            raise UserError(f"{file}: size/{side} is {text!r}, expected the image's {side} in pixels")
        sides.append(int(pixels))
    return sides[0], sides[1]


def _corners(element: Element, where: str) -> list[float]:
    box = element.find("bndbox")
    if box is None:
        rotated = " (it has a rotated box, robndbox)" if element.find("robndbox") is not None else ""
        raise UserError(f"{where}: lacks bndbox{rotated}")
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
