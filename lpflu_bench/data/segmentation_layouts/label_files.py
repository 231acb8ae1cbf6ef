"""Label tables that come with a data set, as a file beside its images."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError


def read_label_file(files: Sequence[Path]) -> Mapping[str, Any] | None:
    """Return the label table of a data set's own file; null if it has none.

    Read are ``labelmap.txt`` (CVAT: ``name:r,g,b:parts:actions``), ``class_dict.csv`` (``name,r,g,b``) and ADE20K's
    ``objectInfo150.txt`` (ids 1 to 150; 0 is unlabelled).

    Raises:
        UserError: a line of it isn't as described.
    """
    readers = {"labelmap.txt": _labelmap, "class_dict.csv": _class_dict, "objectInfo150.txt": _object_info}
    for path in files:
        if path.name in readers:
            try:
                return readers[path.name](path.read_text(encoding="utf-8-sig").splitlines())
            except (ValueError, KeyError, IndexError) as error:
                raise UserError(f"{path}: not a table of label colours or ids ({error})") from error
    return None


def _color(red: str, green: str, blue: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(value) for value in (red, green, blue)))


def _labelmap(lines: Sequence[str]) -> Mapping[str, Any]:
    rows = [line.split(":") for line in lines if line.strip() and not line.startswith("#")]
    return {"classes": {name: _color(*color.split(",")) for name, color, *_ in rows}}


def _class_dict(lines: Sequence[str]) -> Mapping[str, Any]:
    rows = list(csv.reader(line for line in lines if line.strip()))
    return {"classes": {name: _color(*color) for name, *color in rows[1:]}}


def _object_info(lines: Sequence[str]) -> Mapping[str, Any]:
    rows = [line.split("\t") for line in lines[1:] if line.strip()]
    return {"classes": {row[-1].split(",")[0].strip(): int(row[0]) for row in rows}, "ignore": [0]}
