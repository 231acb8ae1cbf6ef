"""Bundled files: recipes, overlays, studies, published tables."""

from pathlib import Path

from lpflu_bench.errors import UserError

_PACKAGE = Path(__file__).resolve().parent


def resource_path(relative: str) -> Path:
    """Return the file or folder ``relative``: in the current folder, else in the clone, else inside the wheel.

    Args:
        relative: a path as in a clone, such as ``results/published`` or ``configs/studies/table1.yaml``; an absolute
            path is only checked.

    Raises:
        UserError: it is in none of these places.
    """
    places = [Path.cwd()]
    if (_PACKAGE.parent / "pyproject.toml").is_file():  # a clone; next to an installed package are other packages
        places.append(_PACKAGE.parent)
    places.append(_PACKAGE / "shipped")
    for place in places:
        if (path := place / relative).exists():
            return path
    raise UserError(f"{relative} does not exist: looked in {', '.join(dict.fromkeys(map(str, places)))}")
