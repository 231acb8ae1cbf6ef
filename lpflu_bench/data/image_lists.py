"""Lists of image names in text files."""

from collections.abc import Container, Sequence
from pathlib import Path, PurePosixPath

from lpflu_bench.data.image_files import SUFFIXES
from lpflu_bench.errors import UserError

_PRESENCE = {"-1", "0", "1"}


def read_list(source: Path) -> list[str]:
    """Return the lines of a list that aren't blank.

    Raises:
        UserError: it isn't UTF-8 text.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a list of image names in UTF-8 ({error.reason})") from error
    return [line.strip() for line in lines if line.strip()]


def find_names(lines: Sequence[str], known: Container[str], source: Path) -> list[str]:
    """Return the known name that each line of a list stands for, each once.

    A name may have spaces and folders, its file's ending, or the second column of VOC's lists of one class, which says
    whether the class is in the image.

    Args:
        lines: of the list.
        known: names without ending, with their folders.
        source: the list, for messages.

    Raises:
        UserError: a line names no known image.
    """
    names: dict[str, None] = {}
    for line in lines:
        words = line.rsplit(maxsplit=1)
        spellings = [line, words[0]] if len(words) == 2 and words[1] in _PRESENCE else [line]
        spellings += [
            str(PurePosixPath(each).with_suffix(""))
            for each in spellings
            if PurePosixPath(each).suffix.lower() in SUFFIXES
        ]
        name = next((each for each in spellings if each in known), None)
        if name is None:
            raise UserError(f"{source} names {line!r}, but there is no image of that name: {line}.jpg is missing")
        names[name] = None
    return list(names)
