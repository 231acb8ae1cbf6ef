"""Full and read-only disks: detected before a cell starts, and distinguished from a failed cell."""

import shutil
from pathlib import Path

from lpflu_bench.errors import UserError
from lpflu_bench.files import FULL_OR_READ_ONLY, require_writable

MINIMUM_BYTES = 64 * 2**20
"""What has to be free for a cell whose checkpoint's size is not known yet."""


def check_disk(runs: Path, results: Path, parallel: int) -> None:
    """Write a little in both folders, and look whether there is room for the checkpoints.

    A checkpoint is written beside its predecessor, so that twice the largest one of this study so far has to be free
    for each parallel run, and :data:`MINIMUM_BYTES` at least.

    Args:
        runs: the study's folder of runs.
        results: the study's folder of results.
        parallel: runs at once.

    Raises:
        UserError: a folder cannot be written to, or its disk has too little room.
    """
    for folder, option in ((runs, "--runs"), (results, "--results")):
        require_writable(folder, option)
        folder.mkdir(parents=True, exist_ok=True)
    largest = max((path.stat().st_size for path in runs.glob("cells/*/checkpoints/*.ckpt")), default=0)
    needed = max(MINIMUM_BYTES, 2 * largest * parallel)
    free = shutil.disk_usage(runs).free
    if free < needed:
        raise UserError(
            f"--runs {runs}: {free / 2**20:.0f} MiB are free, but checkpoints need about {needed / 2**20:.0f} MiB with "
            f"{parallel} at a time; make room (`lpflu-bench study clean`), or name another folder"
        )


def is_disk_error(error: BaseException, folder: Path) -> bool:
    """Return whether an exception, or one that it came from, says that a disk is full or read-only.

    torch reports a full disk as a RuntimeError about positions in a file: then the free space of ``folder`` tells.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL_OR_READ_ONLY:
            return True
        cause = cause.__cause__ or cause.__context__
    if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
        return False
    try:
        return shutil.disk_usage(folder).free < 2**20
    except OSError:
        return False
