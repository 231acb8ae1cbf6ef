"""What a layout of images with boxes is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from lpflu_bench.data.annotations import RawAnnotation


class DetectionLayout(ABC):
    """How images and boxes are laid out in a folder.

    Args:
        root: the set's folder.
        files: what is in it, hidden files left out.
    """

    name: ClassVar[str]
    """Its name for ``--data.layout``."""
    title: ClassVar[str]
    """Its name for people."""
    expected: ClassVar[str]
    """What is where, in a few words."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.root = root
        self.files = files

    @abstractmethod
    def matches(self) -> bool:
        """Return whether the folder looks like this layout."""

    @abstractmethod
    def split_names(self) -> list[str]:
        """Return the names of the splits.

        Raises:
            UserError: a file that says so can't be read.
        """

    @abstractmethod
    def read(self, split: str) -> list[RawAnnotation]:
        """Return the images of a split with their boxes.

        Raises:
            UserError: one line that names the file, and the object where it is one.
        """

    def category_ids(self) -> Mapping[str, int]:
        """Return the number of each class name in a COCO file; empty where the layout has none."""
        return {}
