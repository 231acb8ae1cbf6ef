"""A study's run records and attempts."""

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from lpflu_bench.errors import UserError
from lpflu_bench.files import cannot_write, replaced_atomically, write_text_atomically
from lpflu_bench.outcomes import outcomes_path
from lpflu_bench.record_files import lacking, read_record, write_record
from lpflu_bench.records import SCHEMA, Attempt, Record
from lpflu_bench.studies.locks import Locks

RECORD_NAME = re.compile(r"[0-9a-f]{16}\.json")
"""A record's file is named after its cell; other files beside it are left alone."""


def now() -> str:
    """Return the time as it stands in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """The records and the runs of one study. Left as a context, it gives its locks back.

    ``results/<study>/records/<hash>.json`` is a cell's record: small, committed, the only thing that reports read.
    ``runs/<study>/cells/<hash>/`` is its run folder (checkpoint, logs, attempts), ``runs/<study>/locks``
    says which process is running it (:class:`~lpflu_bench.studies.locks.Locks`). Several processes, on one machine or on a
    shared file system, may use a store at once.

    Args:
        study: the study's name.
        results: the folder of all studies' results.
        runs: the folder of all studies' runs.
    """

    def __init__(self, study: str, results: Path, runs: Path) -> None:
        self.results = results / study
        self.runs = runs / study
        self._records = self.results / "records"
        self.locks = Locks(self.runs / "locks")
        self.set_aside: dict[str, str] = {}
        """What was found wrong with the records that cannot be used, by their cell; nothing else is held up by them."""

    # --- records ---------------------------------------------------------------------------------------------------

    def run_dir(self, cell: str) -> Path:
        """Return a cell's run folder."""
        return self.runs / "cells" / cell

    def record_path(self, cell: str) -> Path:
        """Return where a cell's record is."""
        return self._records / f"{cell}.json"

    def record(self, cell: str, *, brief: bool = False) -> Record | None:
        """Return a cell's record; None if there is none, or (noted in :attr:`set_aside`) none that can be used.

        Args:
            cell: its hash.
            brief: without what is long (:func:`~lpflu_bench.record_files.read_record`).
        """
        self.set_aside.pop(cell, None)
        path = self.record_path(cell)
        if not path.exists():
            return None
        try:
            record = read_record(path, brief=brief)
        except UserError as error:
            self.set_aside[cell] = str(error)
            return None
        if (other := record["trained"]["config_hash"]) != cell:
            self.set_aside[cell] = f"{path} is the record of another run, {other}: a copy? Delete it or run that cell"
            return None
        return record

    def records(self) -> dict[str, Record]:
        """Return every record of the store that can be used, by its cell, each without what is long.

        What was read is kept in one file beside the runs, and a record is read again when its file has changed: ten
        thousand whole records take seconds.
        """
        index = self.runs / f"brief-records-{SCHEMA}.json"
        try:
            known: dict[str, Any] = orjson.loads(index.read_bytes())
        except (OSError, ValueError):
            known = {}
        kept: dict[str, Any] = {}
        found: dict[str, Record] = {}
        try:
            entries = [entry for entry in os.scandir(self._records) if RECORD_NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            entries = []
        for entry in sorted(entries, key=lambda entry: entry.name):
            stat, cell = entry.stat(), entry.name.removesuffix(".json")
            stamp = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
            if cell in known and known[cell][0] == stamp:
                kept[cell] = known[cell]
                found[cell] = known[cell][1]
            elif (record := self.record(cell, brief=True)) is not None:
                found[cell] = record
                if orjson.loads(orjson.dumps(record)) == record:  # not with NaN, which orjson writes as null
                    kept[cell] = [stamp, record]
        if kept != known:
            with contextlib.suppress(OSError), replaced_atomically(index) as temporary:  # a full disk can be looked at
                temporary.write_bytes(orjson.dumps(kept))
        return found

    def write(self, cell: str, record: Record, outcomes: bytes | None = None) -> None:
        """Keep a cell's record, in one step, and the outcomes of its tests."""
        path = self.record_path(cell)
        if outcomes is not None:
            with replaced_atomically(outcomes_path(path)) as temporary:
                temporary.write_bytes(outcomes)
        write_record(record, path)

    def started(self) -> set[str]:
        """Return the cells that have a run folder here."""
        try:
            return {path.name for path in (self.runs / "cells").iterdir()}
        except FileNotFoundError:
            return set()

    # --- attempts --------------------------------------------------------------------------------------------------

    def attempts(self, cell: str) -> list[Attempt]:
        """Return what was tried so far: those of the run folder, else (another machine's) those of the record."""
        path = self.run_dir(cell) / "attempts.json"
        try:
            attempts: list[Attempt] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            record = self.record(cell)
            return list(record.get("attempts", [])) if record else []
        if lacks := next(filter(None, (lacking(attempt, Attempt) for attempt in attempts)), ""):
            raise UserError(f"{path}: an attempt lacks '{lacks}'; delete the file, it holds nothing else")
        return attempts

    def start_attempt(self, cell: str) -> list[Attempt]:
        """Note that a cell starts; an earlier attempt that never ended was interrupted."""
        attempts = self.attempts(cell)
        for attempt in attempts:
            if attempt["outcome"] == "running":
                attempt["outcome"] = "interrupted"
        attempts.append({"started_at": now(), "finished_at": None, "outcome": "running", "error": None})
        self._write_attempts(cell, attempts)
        return attempts

    def end_attempt(self, cell: str, outcome: str, error: str | None = None) -> list[Attempt]:
        """Note how the running attempt ended: ``finished``, ``failed``, ``interrupted`` or ``lost``."""
        attempts = self.attempts(cell)
        attempts[-1] |= {"finished_at": now(), "outcome": outcome, "error": error}
        self._write_attempts(cell, attempts)
        return attempts

    def _write_attempts(self, cell: str, attempts: list[Attempt]) -> None:
        path = self.run_dir(cell) / "attempts.json"
        try:
            write_text_atomically(path, json.dumps(attempts, indent=1))
        except OSError as error:
            raise cannot_write(path, error) from error

    def close(self) -> None:
        """Give all locks back."""
        self.locks.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
