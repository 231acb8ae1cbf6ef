"""COCO's JSON: one file of boxes for each split."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lpflu_bench.data.annotations import LabelledBox, RawAnnotation, refuse_shares, with_remark
from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.splits import ALL, split_role
from lpflu_bench.errors import UserError

_HEAD = 2**16
_NAMELESS = ("_annotations.coco", "annotations", "instances", "coco")
_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')


class Coco(DetectionLayout):
    """``instances_<split>.json`` in ``annotations`` (COCO's own), or ``_annotations.coco.json`` among the images (Roboflow).

    Boxes alone are used. ``iscrowd`` marks groups that are not trained on and are ignored in scoring.
    """

    name: ClassVar[str] = "coco"
    title: ClassVar[str] = "COCO JSON"
    expected: ClassVar[str] = "annotations/instances_SPLIT.json with images/, SPLIT/ or images/SPLIT/"

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        super().__init__(root, files)
        self._categories: dict[str, int] = {}

    @cached_property
    def _sources(self) -> Mapping[str, Path]:
        found = {}
        for path in self.files:
            if path.suffix.lower() == ".json" and _looks_like_coco(path):
                name = path.stem.removeprefix("instances_")
                if name in _NAMELESS:  # then the folder says which split it is, if any does
                    name = path.parent.name if split_role(path.parent.name) else ALL
                found[name] = path
        return found

    def matches(self) -> bool:
        """Return whether there is a JSON file with COCO's keys."""
        return bool(self._sources)

    def split_names(self) -> list[str]:
        """Return the names of the files, or of their folders."""
        return list(self._sources)

    def read(self, split: str) -> list[RawAnnotation]:
        """Return all images of a file, those without a box too."""
        source = self._sources[split]
        content = _load(source)
        try:
            categories = {category["id"]: str(category["name"]).strip() for category in content["categories"]}
            self._categories |= {name: number for number, name in categories.items()}
            images = {image["id"]: image for image in content["images"]}
            objects = defaultdict(list)
            for entry in content["annotations"]:
                objects[entry["image_id"]].append(entry)
        except (KeyError, TypeError) as error:
            raise UserError(f"{source}: an image, annotation or category has no key {error}") from error
        if unknown := next((key for key in objects if key not in images), None):
            raise UserError(
                f"{source}: annotation {objects[unknown][0].get('id')} has the image_id {unknown}: no such image"
            )
        if len(images) < len(content["images"]):
            raise UserError(f"{source}: two images have the same id")
        folder = self._image_folder(split, source, content["images"])
        annotations = [
            RawAnnotation(
                _existing(folder, image, source),
                tuple(_box(entry, categories, source) for entry in objects[image["id"]]),
                (image["width"], image["height"]) if image.get("width") and image.get("height") else None,
                image_id=image["id"],
            )
            for image in images.values()
        ]
        if not annotations:
            raise UserError(f"{source} has no images")
        masks = sum(isinstance(entry.get("segmentation"), dict) for entry in content["annotations"])
        return with_remark(annotations, "RLE mask ignored (boxes alone are used)", masks)

    def category_ids(self) -> Mapping[str, int]:
        """Return the categories of the files that were read."""
        return self._categories

    def _image_folder(self, split: str, source: Path, images: list[Mapping[str, Any]]) -> Path:
        candidates = [
            self.root / split,
            self.root / "images" / split,
            self.root / split / "images",
            self.root / "images",
            source.parent,
            self.root,
        ]
        name = str(images[0].get("file_name", "")) if images else ""
        for folder in candidates:
            if (folder / name).is_file():
                return folder
        tried = ", ".join(str(folder) for folder in candidates[:4])
        raise UserError(f"{source}: its image {name!r} is in none of {tried}")


def _looks_like_coco(path: Path) -> bool:
    with path.open("rb") as file:
        return _KEYS.search(file.read(_HEAD)) is not None


def _load(source: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(source.read_bytes())
    except ValueError as error:
        raise UserError(f"{source}: invalid JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{source}: expected COCO's object with images, annotations and categories")
    if missing := [key for key in ("images", "annotations", "categories") if not isinstance(content.get(key), list)]:
        raise UserError(f"{source}: has no list {missing[0]!r}, so it is not a COCO detection file")
    return content


def _existing(folder: Path, image: Mapping[str, Any], source: Path) -> Path:
    path = folder / str(image.get("file_name", ""))
    if not path.is_file():
        raise UserError(f"{path} is missing, {source} names it (image id {image['id']})")
    return path


def _box(entry: Mapping[str, Any], categories: Mapping[Any, str], source: Path) -> LabelledBox:
    where = f"{source}: annotation {entry.get('id')}"
    if entry.get("category_id") not in categories:
        raise UserError(f"{where}: category_id {entry.get('category_id')} is not among the categories")
    name = categories[entry["category_id"]]
    try:
        x, y, width, height = (float(value) for value in entry["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where} ({name}): bbox is {entry.get('bbox')!r}, expected [x, y, width, height]") from error
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise UserError(f"{where} ({name}): bbox is {entry['bbox']!r}, expected numbers")
    corners = (x, y, x + width, y + height)
    if width > 0 and height > 0:
        refuse_shares(corners, f"{where} ({name})")
    return LabelledBox(name, corners, f"{where} ({name})", crowd=bool(entry.get("iscrowd", 0)))
