"""Label tables: which id in a label file is which class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpflu_bench.errors import UserError

IGNORE = 255
"""The class index of pixels that are neither trained on nor scored."""

_UNKNOWN = 254
_MOST_CLASSES = 254

# https://github.com/mcordts/cityscapesScripts, helpers/labels.py: the 19 classes in the order of their train ids.
_CITYSCAPES_CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
# The ids that have no train id (license plate has id -1: it is never drawn into a label file).
_CITYSCAPES_VOID = [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30]

TABLES: Mapping[str, Mapping[str, Any]] = {
    "cityscapes19": {"classes": _CITYSCAPES_CLASSES, "ignore": _CITYSCAPES_VOID},
    "cityscapes20": {"classes": {**_CITYSCAPES_CLASSES, "other": _CITYSCAPES_VOID}},
}
"""The tables that have a name: 19 classes with the rest ignored (the usual protocol), and with the rest as a class."""


class UnknownLabelError(ValueError):
    """A label holds ids that the table does not know.

    Args:
        ids: those ids.
    """

    def __init__(self, ids: list[int]) -> None:
        super().__init__(", ".join(map(str, ids)))
        self.ids = ids


@dataclass(frozen=True)
class LabelTable:
    """From label ids (0 to 255, as stored in a file) to class indices (0, 1, ...; :data:`IGNORE`).

    Attributes:
        class_names: name of each class index.
        lookup: uint8 [256], the class index of each id.
    """

    class_names: list[str]
    lookup: NDArray[np.uint8]

    def map(self, ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the class indices of an array of label ids.

        Raises:
            UnknownLabelError: an id is not in the table.
        """
        classes = self.lookup[ids]
        if (unknown := classes == _UNKNOWN).any():
            raise UnknownLabelError(np.unique(ids[unknown]).tolist())
        return classes


def label_table(labels: str | Mapping[str, Any]) -> LabelTable:
    """Return the table of a name, or your own.

    Args:
        labels: ``cityscapes19``, ``cityscapes20``, or a mapping with ``classes`` (name of the class: its id, or a list
            of ids; in the order of the class indices) and, where some ids are neither trained on nor scored, ``ignore``
            (a list of ids). An id that is in neither is an error where it is met.

    Raises:
        UserError: no such table, or the mapping is not as described.
    """
    if isinstance(labels, str):
        if labels not in TABLES:
            raise UserError(
                f"data.labels: there is no table {labels!r}; use {', '.join(TABLES)} or "
                "{classes: {NAME: ID or [IDS], ...}, ignore: [IDS]}"
            )
        labels = TABLES[labels]
    if unknown := set(labels) - {"classes", "ignore"}:
        raise UserError(f"data.labels: unknown key {sorted(unknown)[0]!r}; the keys are classes and ignore")
    classes = labels.get("classes")
    if not isinstance(classes, Mapping) or not 0 < len(classes) < _MOST_CLASSES:
        raise UserError(f"data.labels.classes must name 1 to {_MOST_CLASSES - 1} classes, each with its id or ids")
    lookup = np.full(256, _UNKNOWN, dtype=np.uint8)
    for index, (name, ids) in [*enumerate(classes.items()), (IGNORE, ("ignore", labels.get("ignore") or []))]:
        for label_id in [ids] if isinstance(ids, int) else ids:
            if isinstance(label_id, bool) or not isinstance(label_id, int) or not 0 <= label_id <= 255:
                raise UserError(f"data.labels: {name}: {label_id!r} is not a valid label ID (a whole number, 0 to 255)")
            if lookup[label_id] != _UNKNOWN:
                raise UserError(f"data.labels: {name}: the id {label_id} is given twice")
            lookup[label_id] = index
    return LabelTable(class_names=[str(name) for name in classes], lookup=lookup)
