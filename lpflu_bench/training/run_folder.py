"""A run's folder: named as an argument, its parts' names, and what a refused command leaves of it."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from lpflu_bench.training.trained_config import CHECKPOINTS, find_checkpoint, trained_config


def free_name(folder: Path, name: str) -> str:
    """Return ``name``, or ``name-2``, ... : the first one that is not there yet."""
    candidate, number = name, 1
    while (folder / candidate).exists():
        number += 1
        candidate = f"{name}-{number}"
    return candidate


@contextmanager
def of_run_folder(arguments: list[str]) -> Iterator[list[str]]:
    """Turn ``test RUN_FOLDER --KEY VALUE ...`` into options: the configuration is the one in the run's checkpoint."""
    if len(arguments) < 2 or arguments[0] == "fit" or arguments[1].startswith("-"):
        yield arguments
        return
    command, run, *options = arguments
    checkpoint = find_checkpoint(run)
    config = {key: value for key, value in trained_config(checkpoint).items() if key not in ("config", "ckpt_path")}
    config["run_dir"] = str(checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else checkpoint.parent)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trained.yaml")
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        yield [command, "--config", str(file), "--ckpt_path", str(checkpoint), *options]


def remove_made(made: Iterable[Path], run_dir: Path) -> None:
    """Remove what a refused command made, so that it can be corrected and given again.

    Args:
        made: the files and folders that were not there before it.
        run_dir: the run's folder; its parents go if they are empty.
    """
    made = list(made)
    if run_dir in made:
        shutil.rmtree(run_dir, ignore_errors=True)
    for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
        if path.is_file():
            path.unlink()
        elif path.name and run_dir in path.parents:
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):  # not empty: somebody else's
                path.rmdir()
