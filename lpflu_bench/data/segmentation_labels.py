"""Label tables: which id, or which colour, in a mask file is which class."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision.datasets import Cityscapes

from lpflu_bench.data.voc_classes import VOC_CLASSES
from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest

IGNORE = 255
"""The class index of pixels that are neither trained on nor scored."""

_UNKNOWN = 254
_MOST_CLASSES = 254
_MOST_DERIVED = 64
_HEX = re.compile(r"#[0-9a-fA-F]{6}")

_BY_TRAIN_ID = sorted((c for c in Cityscapes.classes if not c.ignore_in_eval), key=lambda c: c.train_id)
# License plate has id -1: it is never drawn into a label file.
_VOID_IDS = [c.id for c in Cityscapes.classes if c.ignore_in_eval and c.id >= 0]
_LABEL_IDS = {c.name: c.id for c in _BY_TRAIN_ID}
_TRAIN_IDS = {c.name: c.train_id for c in _BY_TRAIN_ID}

TABLES: Mapping[str, Mapping[str, Any]] = {
    "cityscapes19": {"classes": _LABEL_IDS, "ignore": _VOID_IDS},
    "cityscapes20": {"classes": {**_LABEL_IDS, "other": _VOID_IDS}},
    "voc21": {"classes": {"background": 0, **{n: i for i, n in enumerate(VOC_CLASSES, start=1)}}, "ignore": [IGNORE]},
}
"""The tables that have a name: Cityscapes' 19 classes with the rest ignored (the usual protocol), or with the rest as a
class of its own, and VOC's 20 classes and background."""

_TRAIN_ID_TABLES: Mapping[str, Mapping[str, Any]] = {
    "cityscapes19": {"classes": _TRAIN_IDS, "ignore": [IGNORE]},
    "cityscapes20": {"classes": {**_TRAIN_IDS, "other": IGNORE}},
}


class UnknownLabelError(ValueError):
    """A mask holds ids or colours that the table does not know.

    Args:
        ids: those ids, or colours as ``#rrggbb``.
    """

    def __init__(self, ids: list[Any]) -> None:
        super().__init__(", ".join(map(str, ids[:8])) + (", ..." if len(ids) > 8 else ""))
        self.ids = ids


@dataclass(frozen=True)
class LabelTable:
    """From what a mask file stores to class indices (0, 1, ...; :data:`IGNORE`).

    Attributes:
        class_names: name of each class index.
        lookup: uint8 [256], the class index of each id; of a table of colours, the index of each of ``colors``.
        colors: int32, sorted, the colours as red * 65536 + green * 256 + blue; null for a table of ids.
    """

    class_names: list[str]
    lookup: NDArray[np.uint8]
    colors: NDArray[np.int32] | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides the class indices, for a fingerprint."""
        return self.class_names, self.lookup.tolist(), None if self.colors is None else self.colors.tolist()

    def map(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the class indices [H, W] of a mask: ids [H, W], or RGB colours [H, W, 3] for a table of colours.

        Raises:
            UnknownLabelError: an id or colour is not in the table.
        """
        if self.colors is None:
            classes = self.lookup[pixels]
            if (unknown := classes == _UNKNOWN).any():
                raise UnknownLabelError(np.unique(pixels[unknown]).tolist())
            return classes
        packed = pack_colors(pixels)
        places = np.minimum(np.searchsorted(self.colors, packed), len(self.colors) - 1)
        if (unknown := self.colors[places] != packed).any():
            raise UnknownLabelError([f"#{color:06x}" for color in np.unique(packed[unknown]).tolist()])
        return self.lookup[places]

    def unmap(self, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what a mask file stores for class indices [H, W]: ids [H, W], or RGB colours [H, W, 3].

        Of a class with several ids or colours, the first in ascending order.
        """
        firsts = np.array([np.flatnonzero(self.lookup == index)[0] for index in range(len(self.class_names))])
        if self.colors is None:
            return firsts.astype(np.uint8)[classes]
        packed = self.colors[firsts][classes]
        return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)


def pack_colors(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return colours [..., 3] as red * 65536 + green * 256 + blue, int32 [...]."""
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    packed: NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed


def label_table(labels: str | Mapping[str, Any], *, train_ids: bool = False) -> LabelTable:
    """Return the table of a name, or your own.

    Args:
        labels: ``cityscapes19``, ``cityscapes20``, ``voc21``, or a mapping with ``classes`` (name of the class: its id, or
            its colour as ``"#rrggbb"``, or a list of them; in the order of the class indices) and, where some are neither
            trained on nor scored, ``ignore`` (a list of ids or colours). One that is in neither is an error where it is
            met.
        train_ids: whether the masks hold Cityscapes' train ids (0 to 18, 255) instead of its label ids.

    Raises:
        UserError: no such table, or the mapping is not as described.
    """
    if isinstance(labels, str):
        if labels not in TABLES:
            raise UserError(
                f"data.labels: there is no table {labels!r}{nearest(labels, TABLES)}; use {', '.join(TABLES)} or "
                "{classes: {NAME: ID or [IDS], ...}, ignore: [IDS]}"
            )
        labels = _TRAIN_ID_TABLES.get(labels, TABLES[labels]) if train_ids else TABLES[labels]
    if unknown := set(labels) - {"classes", "ignore"}:
        raise UserError(f"data.labels: unknown key {sorted(unknown)[0]!r}; the keys are classes and ignore")
    classes = labels.get("classes")
    if not isinstance(classes, Mapping) or not 0 < len(classes) < _MOST_CLASSES:
        raise UserError(f"data.labels.classes must name 1 to {_MOST_CLASSES - 1} classes, each with its id or ids")
    found: dict[int, int] = {}
    kinds = set()
    for index, (name, ids) in [*enumerate(classes.items()), (IGNORE, ("ignore", labels.get("ignore") or []))]:
        for each in ids if isinstance(ids, list) else [ids]:
            color = isinstance(each, str) and _HEX.fullmatch(each) is not None
            if not color and (isinstance(each, bool) or not isinstance(each, int) or not 0 <= each <= 255):
                raise UserError(
                    f"data.labels: {name}: {each!r} is not a valid label ID (a whole number, 0 to 255) or colour "
                    '("#rrggbb")'
                )
            kinds.add(color)
            if len(kinds) > 1:
                raise UserError("data.labels: give an id for every class or a colour for every class, not both")
            number = int(each[1:], 16) if color else each
            if number in found:
                raise UserError(f"data.labels: {name}: the id {each} is given twice")
            found[number] = index
    names = [str(name) for name in classes]
    if kinds == {True}:
        colors = sorted(found)
        return LabelTable(names, np.array([found[c] for c in colors], np.uint8), np.array(colors, np.int32))
    lookup = np.full(256, _UNKNOWN, dtype=np.uint8)
    for number, index in found.items():
        lookup[number] = index
    return LabelTable(names, lookup)


def derived_labels(values: Iterable[int], *, colors: bool) -> Mapping[str, Any]:
    """Return the table of a set of masks that comes without one: each value is a class, in ascending order.

    Of ids, 255 is ignored, as is the custom, unless 0 is the only other one: then the masks are black and white.

    Args:
        values: the ids, or the colours (see :func:`pack_colors`), that occur.
        colors: whether they are colours.

    Raises:
        UserError: fewer than two classes, or more values than a set of classes has.
    """
    present = sorted(set(values))
    if len(present) > _MOST_DERIVED:
        what = "colours" if colors else "values"
        raise UserError(
            f"data.labels: the masks hold {len(present)} {what}: too many for classes; smoothed edges and JPEG make such, "
            "or they are photographs; name the classes in data.labels"
        )
    if colors:
        return {"classes": {f"#{value:06x}": f"#{value:06x}" for value in present}}
    ignore = [IGNORE] if IGNORE in present and set(present) != {0, IGNORE} else []
    classes = [value for value in present if value not in ignore]
    if len(classes) < 2:
        raise UserError(f"data.labels: the masks hold the values {present} alone, which are fewer than two classes")
    return {"classes": {f"class_{value}": value for value in classes}, "ignore": ignore}
