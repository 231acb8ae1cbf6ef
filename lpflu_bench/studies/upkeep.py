"""What is done to a study's store besides running it: set cells back, clear leftovers, merge, verify."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import replaced_atomically
from lpflu_bench.outcomes import load_outcomes
from lpflu_bench.record_files import read_record
from lpflu_bench.records import EXPORTED, FILE_NAME, Record
from lpflu_bench.studies.plan import Cell
from lpflu_bench.studies.store import RECORD_NAME, Store
from lpflu_bench.text import nearest


def find_cells(cells: Sequence[Cell], names: Iterable[str]) -> list[Cell]:
    """Return the cells called by their hash, its first digits, or their name as ``status`` prints it.

    Raises:
        UserError: a name is that of no cell, or of several.
    """
    found = []
    for name in names:
        matching = [cell for cell in cells if name == str(cell) or (len(name) >= 4 and cell.hash.startswith(name))]
        if not matching:
            raise UserError(f"the study has no cell '{name}'{nearest(name, [str(cell) for cell in cells])}")
        if len(matching) > 1:
            raise UserError(f"'{name}' are {len(matching)} cells: {', '.join(cell.hash for cell in matching[:4])}")
        found += matching
    return list(dict.fromkeys(found))


def set_back(store: Store, cell: Cell) -> None:
    """Make a cell one that has never been run; what it left moves to the study's folder ``replaced``.

    Raises:
        UserError: it is being run.
    """
    if not store.locks.claim(cell.hash):
        owner = store.locks.running().get(cell.hash)
        raise UserError(f"{cell} is being run by {owner or 'another machine'}; stop that run first, or wait a minute")
    try:
        aside = _free_folder(store.runs / "replaced", cell.hash)
        for path in [*_record_files(store.record_path(cell.hash)), store.run_dir(cell.hash)]:
            if path.exists():
                aside.mkdir(parents=True, exist_ok=True)
                shutil.move(path, aside / path.name)
    except OSError as error:
        raise UserError(f"cannot set {cell} back: {error}") from error
    finally:
        store.locks.release(cell.hash)


def _free_folder(parent: Path, name: str) -> Path:
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def _record_files(record: Path) -> list[Path]:
    """Return a record's file and those that belong to it: of the same name but for the ending."""
    return sorted(record.parent.glob(f"{record.stem}.*"))


# --- leftovers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leftover:
    """Something that can go.

    Attributes:
        kind: what it is, for people.
        path: a file or a folder.
        size: in bytes.
        cell: whose it is; None for nobody's.
    """

    kind: str
    path: Path
    size: int
    cell: str | None = None


def take_deployed(store: Store, cells: Iterable[Cell]) -> list[Cell]:
    """Take what ``lpflu-bench deploy`` has measured in run folders into the study's records; return their cells."""
    taken = []
    for cell in cells:
        if not (store.run_dir(cell.hash) / EXPORTED).is_dir():
            continue
        record = store.record(cell.hash)
        try:
            own = read_record(store.run_dir(cell.hash) / FILE_NAME)
        except UserError:
            continue
        if record is None or record["trained"]["started_at"] != own["trained"]["started_at"]:
            continue  # another machine's record of the same cell
        if (deployed := own.get("deployed")) is not None and deployed != record.get("deployed"):
            store.write(cell.hash, {**record, "deployed": deployed})
            taken.append(cell)
    return taken


def leftovers(store: Store, cells: Iterable[Cell], *, checkpoints: bool) -> list[Leftover]:
    """Return what a study's runs leave behind: nothing that a record, or a cell still to be run, needs.

    Args:
        store: of the study.
        cells: of the plan.
        checkpoints: count the checkpoints of finished cells too.
    """
    known, running = {cell.hash for cell in cells}, store.locks.running()
    status = {cell: record["status"] for cell, record in store.records().items()}
    found = []
    for cell in sorted(store.started() - running.keys()):
        folder = store.run_dir(cell)
        if cell not in known:
            found.append(Leftover("run folder of no cell of this plan", folder, _size(folder), cell))
            continue
        if checkpoints and status.get(cell) == "finished":
            found += [
                Leftover("checkpoint of a finished cell", path, _size(path), cell) for path in _of(folder, ".ckpt")
            ]
        found += [Leftover("partly written file", path, _size(path), cell) for path in _of(folder, ".part")]
    for path in sorted((store.runs / "replaced").glob("*")):
        found.append(Leftover("what a cell left before it was rerun", path, _size(path)))
    found += [Leftover("lock of a dead process", path, _size(path)) for path in store.locks.leftovers()]
    return found


def remove(store: Store, leftover: Leftover) -> bool:
    """Remove it; False if its cell is being run by now.

    Raises:
        UserError: it cannot be removed.
    """
    if leftover.cell is not None and not store.locks.claim(leftover.cell):
        return False
    try:
        if leftover.path.is_dir():
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {leftover.path}: {error.strerror}") from error
    finally:
        if leftover.cell is not None:
            store.locks.release(leftover.cell)
    return True


def _of(folder: Path, ending: str) -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{ending}") if path.is_file())


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


# --- merging ---------------------------------------------------------------------------------------------------------


@dataclass
class Merged:
    """What a merge did: records by what became of them."""

    taken: list[Path] = field(default_factory=list)
    same: int = 0
    """Ours is the same run, or finished where theirs is not."""
    conflicts: list[str] = field(default_factory=list)
    """Two finished records of one cell with other scores, or a cell that is being run here: ours stays."""
    unreadable: list[str] = field(default_factory=list)


def merge(store: Store, folder: Path) -> Merged:
    """Take over the records of another folder of this study: those that are missing here, or finished there alone.

    Nothing of either side is lost: two finished records with different scores are a conflict, and ours stays.

    Args:
        store: ours.
        folder: a study's folder of results (``results/<study>``), or that of all studies (``results``).

    Raises:
        UserError: the folder has no records of this study, or a record cannot be written.
    """
    merged = Merged()
    for path in _their_records(store, folder):
        cell = path.stem
        try:
            theirs = read_record(path)
        except UserError as error:
            merged.unreadable.append(str(error))
            continue
        if (digest := theirs["trained"]["config_hash"]) != cell:
            merged.unreadable.append(f"{path} is the record of another run, {digest}: a copy?")
            continue
        ours = store.record(cell)
        if ours is not None and (ours["status"] == "finished" or theirs["status"] != "finished"):
            if theirs["status"] == ours["status"] == "finished" and _scores(ours) != _scores(theirs):
                merged.conflicts.append(
                    f"{path} and {store.record_path(cell)}: two finished runs with different scores"
                )
            else:
                merged.same += 1
        elif not store.locks.claim(cell):
            merged.conflicts.append(f"{path}: this cell is being run here")
        else:
            try:
                _copy(path, store.record_path(cell).parent)
                merged.taken.append(path)
            finally:
                store.locks.release(cell)
    return merged


def _their_records(store: Store, folder: Path) -> list[Path]:
    for place in (folder / "records", folder / store.results.name / "records"):
        if place.is_dir():
            if place.resolve() == store.record_path("x").parent.resolve():
                raise UserError(f"{folder} is this study's own folder of results; name another one")
            return sorted(path for path in place.iterdir() if RECORD_NAME.fullmatch(path.name))
    raise UserError(
        f"{folder} has no records of a study: name another machine's results/{store.results.name}, which has a folder "
        "`records`"
    )


def _scores(record: Record) -> str:
    """Return what two records of the same run agree in."""
    return json.dumps([[test["weights"], test["conditions"], test["metrics"]] for test in record["tested"]])


def _copy(record: Path, folder: Path) -> None:
    """Copy a record, and first what belongs to it."""
    for path in sorted(_record_files(record), key=lambda path: path == record):
        try:
            with replaced_atomically(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
        except OSError as error:
            raise UserError(f"cannot copy {path} to {folder}: {error.strerror}") from error


# --- verifying -------------------------------------------------------------------------------------------------------


def problems(store: Store, cells: Sequence[Cell], metrics: Sequence[str]) -> Iterator[str]:
    """Yield, in a line each, what is wrong with the records of a study.

    Args:
        store: of the study.
        cells: of the plan.
        metrics: names of the study's scores.
    """
    tested: dict[Any, dict[Any, list[Cell]]] = {}
    for cell in cells:
        path = store.record_path(cell.hash)
        if not path.exists():
            continue
        record = store.record(cell.hash)
        if record is None:
            yield store.set_aside[cell.hash]
            continue
        if record["status"] != "finished":
            continue
        for test in record["tested"]:
            if not any(name in test["metrics"] for name in metrics):
                yield f"{path}: a finished run without any of the study's scores ({', '.join(metrics)})"
            if test["outcomes"] is not None:
                try:
                    load_outcomes(path, test)
                except UserError as error:
                    yield str(error)
            by_count = tested.setdefault(cell.labels["task"], {})
            by_count.setdefault(test["num_samples"], []).append(cell)
    for task, counts in tested.items():
        if len(counts) > 1:
            said = ", ".join(f"{count} in {len(found)} runs" for count, found in counts.items())
            yield f"task {task}: not all runs were tested on as many samples: {said}"
