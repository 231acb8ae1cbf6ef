"""VOC's XML annotations: the devkit with its years, and flat folders as annotation tools export them."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

from lpflu_bench.data.annotations import RawAnnotation, with_remark
from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.detection_layouts.voc_xml import read_xml
from lpflu_bench.data.file_pairs import ImageIndex, pair_key, split_of
from lpflu_bench.data.image_files import SUFFIXES, in_threads
from lpflu_bench.data.image_lists import find_names, read_list
from lpflu_bench.data.splits import ALL, split_role
from lpflu_bench.errors import UserError

DEVKIT = "VOCdevkit"
_LIST_FOLDERS = ("ImageSets/Main", "ImageSets", ".")


class _VocFolder:
    """A folder of images and XML files that pair up by name, with or without image lists."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.root = root
        self.annotations: dict[tuple[str, ...], Path] = {}
        for path in files:
            if path.suffix.lower() == ".xml":
                self.annotations[pair_key(path, root)] = path
        self.images = ImageIndex(files, root)

    @cached_property
    def lists(self) -> Mapping[str, Path]:
        """Image lists by name; those of one class (``cat_train``) are left out."""
        for name in _LIST_FOLDERS:
            found = {path.stem: path for path in sorted((self.root / name).glob("*.txt")) if "_" not in path.stem}
            if name == ".":  # where readme.txt may be, too
                found = {stem: path for stem, path in found.items() if split_role(stem)}
            if found:
                return found
        return {}

    @property
    def split_names(self) -> list[str]:
        """Names of the lists, or of the folders that are called like splits; ``all`` is every annotated image."""
        named = list(self.lists) or sorted({split for key in self.annotations if (split := split_of(key)) != ALL})
        return [*named, ALL]

    def read(self, split: str) -> list[RawAnnotation]:
        """Return the annotated images of a split."""
        source = self.lists.get(split)
        repeated = 0
        if split == ALL:
            keys = sorted(self.annotations)
        elif source is None:
            keys = sorted(key for key in self.annotations if split_of(key) == split)
        else:
            known = {"/".join(key): key for key in (*self.images, *self.annotations)}
            lines = read_list(source)
            keys = [known[name] for name in find_names(lines, known, source)]
            repeated = len(lines) - len(keys)
        if not keys:
            raise UserError(f"{source or self.root} is empty: it should name at least one image")
        read = partial(self._read_one, source=source)
        annotations = in_threads(read, keys, f"reading {len(keys)} annotations of {split}")
        return with_remark(annotations, f"line of {source} that repeats an image", repeated)

    def _read_one(self, key: tuple[str, ...], source: Path | None) -> RawAnnotation:
        file = self.annotations.get(key)
        if file is None:
            file = self.root / "Annotations" / Path(*key).with_name(f"{key[-1]}.xml")
            raise UserError(f"{file} is missing: every listed image needs its annotation")
        return read_xml(file, lambda name: self.images.get(key, source or file, name))


class VocDevkit(DetectionLayout):
    """``VOCdevkit/VOC<year>``, each with ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.

    A split is ``YEAR/LIST``; ``YEAR/all`` is every annotated image of that year.
    """

    name: ClassVar[str] = "voc_devkit"
    title: ClassVar[str] = "VOC devkit"
    expected: ClassVar[str] = f"{DEVKIT}/VOC2012/{{JPEGImages,Annotations,ImageSets/Main}}"

    @cached_property
    def _years(self) -> Mapping[str, _VocFolder]:
        kit = self.root if self.root.name == DEVKIT else self.root / DEVKIT
        folders = sorted(path for path in kit.glob("VOC*") if path.is_dir())
        return {
            folder.name.removeprefix("VOC"): _VocFolder(folder, [p for p in self.files if p.is_relative_to(folder)])
            for folder in folders
        }

    def matches(self) -> bool:
        """Return whether there is a year with annotations."""
        return any(year.annotations for year in self._years.values())

    def split_names(self) -> list[str]:
        """Return ``YEAR/LIST`` for each list of each year."""
        return [f"{year}/{name}" for year, folder in self._years.items() for name in folder.split_names]

    def read(self, split: str) -> list[RawAnnotation]:
        """Return the images of a list."""
        year, _, name = split.partition("/")
        return self._years[year].read(name)


class VocFlat(DetectionLayout):
    """Images and XML files, beside each other or in folders of their own, as Roboflow, LabelImg and CVAT export them.

    Folders called like splits (``train``, ``valid``, ``test``) and lists in ``ImageSets/Main`` are the splits.
    """

    name: ClassVar[str] = "voc_flat"
    title: ClassVar[str] = "VOC XML folder"
    expected: ClassVar[str] = (
        f"NAME.xml beside NAME.jpg ({', '.join(sorted(SUFFIXES))}), or in images/ and annotations/, with or without "
        "train, valid and test folders"
    )

    @cached_property
    def _folder(self) -> _VocFolder:
        return _VocFolder(self.root, [path for path in self.files if DEVKIT not in path.relative_to(self.root).parts])

    def matches(self) -> bool:
        """Return whether an XML file has its image, outside of a devkit."""
        return any(key in self._folder.images for key in self._folder.annotations)

    def split_names(self) -> list[str]:
        """Return the names of lists or folders."""
        return self._folder.split_names

    def read(self, split: str) -> list[RawAnnotation]:
        """Return the annotated images of a split; images without an XML file are counted."""
        annotations = self._folder.read(split)
        missing = sum(
            key not in self._folder.annotations and split in (ALL, split_of(key)) for key in self._folder.images
        )
        if self._folder.lists:
            return annotations
        return with_remark(annotations, "image without an XML file left out", missing)
