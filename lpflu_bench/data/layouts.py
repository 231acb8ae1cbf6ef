"""Which layout a folder has, found by looking."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from lpflu_bench.data.file_pairs import is_part_name
from lpflu_bench.data.image_files import visible_files
from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest


class Layout(ABC):
    """How images and what belongs to them are laid out in a folder.

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


AnyLayout = TypeVar("AnyLayout", bound=Layout)


def find_layout(layouts: Sequence[type[AnyLayout]], root: Path, name: str | None = None) -> tuple[AnyLayout, str]:
    """Return the layout of a folder: the named one, or the first that matches.

    Args:
        layouts: the ones to try, in order.
        root: the set's folder.
        name: of the layout; null looks.

    Returns:
        The layout, and a hint in brackets at the others that match too; empty if none does.

    Raises:
        UserError: no layout of that name, or none matches; says where one does if that is nearby.
    """
    by_name = {layout.name: layout for layout in layouts}
    if name is not None and name not in by_name:
        raise UserError(f"data.layout: there is no layout {name!r}{nearest(name, by_name)}")
    candidates = layouts if name is None else [by_name[name]]
    if matching := _matching(candidates, root):
        others = [layout.name for layout in matching[1:]]
        return matching[0], f" (--data.layout {' or '.join(others)} fits too)" if others else ""
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if _matching(candidates, folder):
            raise UserError(f"data.root: {root} is a parent of the dataset folder: pass {folder}")
    above = root.resolve()
    while is_part_name(above.name):
        above = above.parent
        if _matching(candidates, above):
            raise UserError(f"data.root: {root} is too deep, a part of the set: pass {above}")
    expected = "; ".join(f"{layout.name}: {layout.expected}" for layout in candidates)
    raise UserError(f"data.root: {root} has none of the known layouts. Expected {expected}")


def _matching(layouts: Sequence[type[AnyLayout]], root: Path) -> list[AnyLayout]:
    files = list(visible_files(root))
    return [layout for layout in (each(root, files) for each in layouts) if layout.matches()]
