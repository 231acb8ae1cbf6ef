"""The embedded demo sets: drawn by the project, written in the real on-disk layouts, read by the real readers."""

import getpass
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

EMBEDDED = "embedded"
"""The value of ``data.root`` that asks for the demo set instead of a folder of the user's."""


def embedded_root(name: str, draw: Callable[[Path], None]) -> Path:
    """Return the folder of an embedded set; it is drawn on first use and kept in the system's temporary folder.

    Args:
        name: of the set, with whatever decides its content (a version, sizes): another content is another name.
        draw: writes the set into the empty folder it is given. Runs at most once for a name; processes that race for it
            do not see each other's half-drawn files.
    """
    home = Path(tempfile.gettempdir()) / f"lpflu_bench-{getpass.getuser()}"
    target = home / name
    if not target.exists():
        home.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=home, prefix=f".{name}-"))
        try:
            draw(partial)
            partial.rename(target)
        except FileExistsError:
            pass  # another process was first; its files are the same
        except OSError:
            if not target.exists():
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target
