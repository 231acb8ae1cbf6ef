"""Files that are replaced in one step."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lpflu_bench.errors import UserError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL_OR_READ_ONLY = _FULL | {errno.EROFS}
"""Error numbers of a disk on which nothing can be written by anybody."""
NOT_WRITABLE = FULL_OR_READ_ONLY | {errno.EACCES, errno.EPERM}
"""Those, and of places where this user may not write."""


def cannot_write(path: Path | str, error: OSError) -> UserError:
    """Return the line about a file that cannot be written: which, why, and what to do."""
    advice = "make room, then run the same command again" if error.errno in _FULL else "name another folder"
    return UserError(f"cannot write {path}: {error.strerror}; {advice}")


@contextmanager
def replaced_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary file's path beside ``path``; when the block ends well, it takes the place of ``path``.

    A reader sees the old file or the new one, never a part, whenever the writer is killed: the content is flushed to
    the disk before the rename. If the block raises, ``path`` is untouched and the temporary file is removed.

    Raises:
        OSError: the folder cannot be made or written to (a full disk, no permission).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` in one step (:func:`replaced_atomically`)."""
    with replaced_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def require_writable(folder: Path, option: str) -> None:
    """Check that files can be written into ``folder``, which need not exist yet; nothing is left behind.

    Raises:
        UserError: they cannot: no permission, a read-only or full file system, a file in the way.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
            file.flush()
    except OSError as error:
        raise cannot_write(f"{option} {folder}", error) from error
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()
