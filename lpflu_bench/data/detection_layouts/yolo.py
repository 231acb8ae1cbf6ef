"""YOLO's text files: one line an object, coordinates as shares of the image's sides."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import yaml

from lpflu_bench.data.annotations import LabelledBox, RawAnnotation
from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.file_pairs import ImageIndex, pair_key, split_of
from lpflu_bench.data.image_files import in_threads, is_image_name
from lpflu_bench.data.image_lists import read_list
from lpflu_bench.data.splits import ALL
from lpflu_bench.errors import UserError

_NAME_FILES = ("classes.txt", "obj.names", "predefined_classes.txt")
_SLACK = 0.01  # rounding in the files; what is further out is not a share
_POLYGON = "polygon taken as its bounding box"
_SPLIT_KEYS = ("train", "val", "test")

Key = tuple[str, ...]


class Yolo(DetectionLayout):
    """``images`` and ``labels`` with a text file an image, and the class names in ``data.yaml`` or ``classes.txt``.

    The splits are those of ``data.yaml``, else folders that are called like splits. An image without a text file is
    background, as in YOLO itself.
    """

    name: ClassVar[str] = "yolo"
    title: ClassVar[str] = "YOLO text files"
    expected: ClassVar[str] = "data.yaml with names, images/SPLIT/NAME.jpg and labels/SPLIT/NAME.txt"

    @cached_property
    def _description(self) -> tuple[Path, Mapping[str, Any]] | None:
        for path in self.files:
            if path.suffix.lower() in (".yaml", ".yml"):
                try:
                    content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
                except (yaml.YAMLError, UnicodeDecodeError) as error:
                    reason = str(error).splitlines()[0]
                    raise UserError(f"{path}: can't be read as YAML ({reason})") from error
                if isinstance(content, dict) and "names" in content:
                    return path, content
        return None

    @cached_property
    def _name_file(self) -> Path | None:
        return next((path for path in self.files if path.name in _NAME_FILES), None)

    @cached_property
    def _names(self) -> list[str]:
        if self._description is None:
            assert self._name_file is not None
            return read_list(self._name_file)
        path, content = self._description
        names = content["names"]
        if isinstance(names, dict) and sorted(names) == list(range(len(names))):
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list) or not names:
            raise UserError(f"{path}: names must be a list, or a number from 0 on for each name")
        return [str(name).strip() for name in names]

    @cached_property
    def _labels(self) -> Mapping[Key, Path]:
        return {pair_key(path, self.root): path for path in self.files if path.suffix.lower() == ".txt"}

    @cached_property
    def _images(self) -> ImageIndex:
        return ImageIndex(self.files, self.root)

    def matches(self) -> bool:
        """Return whether there are class names, and a text file has its image."""
        named = self._description is not None or self._name_file is not None
        return named and any(key in self._images for key in self._labels)

    @cached_property
    def _splits(self) -> Mapping[str, list[Key]]:
        described: dict[str, list[Key]] = {}
        if self._description is not None:
            path, content = self._description
            described = {name: keys for name in _SPLIT_KEYS if (keys := self._listed(path, content, content.get(name)))}
        if not described:
            for key in self._images:
                if (split := split_of(key)) != ALL:
                    described.setdefault(split, []).append(key)
        return {**described, ALL: list(self._images)}

    def _listed(self, source: Path, content: Mapping[str, Any], places: Any) -> list[Key]:
        """Return the images that data.yaml names for a split; exports often name a folder that is somewhere else."""
        keys: list[Key] = []
        for place in [places] if isinstance(places, str) else places or []:
            bases = [source.parent / str(content.get("path") or "."), source.parent, self.root]
            relative = str(place)
            while relative.startswith("../"):  # Roboflow writes ../train/images for a folder beside data.yaml
                bases.append(source.parent / relative)
                relative = relative.removeprefix("../")
            found = next((base / relative for base in bases if (base / relative).exists()), None)
            if found is None:
                continue
            if found.is_file():
                images = [(found.parent / line).resolve() for line in read_list(found)]
            else:
                images = [path for path in self.files if path.resolve().is_relative_to(found.resolve())]
            root = self.root.resolve()
            inside = [path.resolve() for path in images if is_image_name(path)]
            keys += [pair_key(path, root) for path in inside if path.is_relative_to(root)]
        return list(dict.fromkeys(keys))

    def split_names(self) -> list[str]:
        """Return the splits of data.yaml, or the folders called like splits, and ``all``."""
        return list(self._splits)

    def read(self, split: str) -> list[RawAnnotation]:
        """Return the images of a split."""
        keys = sorted(self._splits[split])
        if not keys:
            raise UserError(f"{self.root}: the split {split} has no image")
        read = partial(_read_one, images=self._images, labels=self._labels, names=self._names)
        return in_threads(read, keys, f"reading {len(keys)} annotations of {split}")


def _read_one(key: Key, *, images: ImageIndex, labels: Mapping[Key, Path], names: Sequence[str]) -> RawAnnotation:
    file = labels.get(key)
    image = images.get(key, file or Path(*key))
    if file is None:
        return RawAnnotation(image, (), shares=True)
    boxes: list[LabelledBox] = []
    polygons = 0
    for number, line in enumerate(read_list(file), start=1):
        where = f"{file}: line {number}"
        try:
            label, *values = (float(word) for word in line.split())
        except ValueError as error:
            raise UserError(f"{where} is {line!r}, expected a class number and four shares") from error
        if label != int(label) or not 0 <= label < len(names):
            raise UserError(f"{where}: class number {label:g} is not in 0 to {len(names) - 1}")
        polygon = len(values) >= 6 and len(values) % 2 == 0
        if not polygon and len(values) not in (4, 5):
            raise UserError(f"{where} has {len(values) + 1} numbers, expected a class number and four shares")
        coordinates = values if polygon else values[:4]
        if not all(math.isfinite(value) and -_SLACK <= value <= 1 + _SLACK for value in coordinates):
            raise UserError(f"{where}: {line!r} has a coordinate outside 0..1; YOLO's are shares of the image's sides")
        polygons += polygon
        name = names[int(label)]
        boxes.append(LabelledBox(name, _corners(coordinates), f"{where} ({name})"))
    return RawAnnotation(image, tuple(boxes), shares=True, remarks=(_POLYGON,) * polygons)


def _corners(values: Sequence[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
