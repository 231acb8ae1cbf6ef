"""``--csv FILE``: a table of measurements as a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from lpflu_bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def write_measurements(frame: "pd.DataFrame", path: Path) -> None:
    """Write measured numbers with six digits as CSV; the folder is made.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another --csv file") from error
