"""A study's run records and attempts."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.files import write_text_atomically
from lpflu_bench.records import read_record, write_record
from lpflu_bench.studies.locks import Locks

_SUMMARY = ("schema", "status", "error", "cell", "attempts", "metrics", "scores")
RECORD_NAME = re.compile(r"[0-9a-f]{16}\.json")
"""A record's file is called by its cell; other files beside it are left alone."""


def now() -> str:
    """Return the time as it stands in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """The records and the runs of one study. Left as a context, it gives its locks back.

    ``results/<study>/records/<hash>.json`` is a cell's record: small, committed, the only thing that reports read.
    ``runs/<study>/cells/<hash>/`` is its run folder (checkpoint, logs, attempts), ``runs/<study>/locks``
    says who is at work on it (:class:`~lpflu_bench.studies.locks.Locks`). Several processes, on one machine or on a
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

    # --- records ---------------------------------------------------------------------------------------------------

    def run_dir(self, cell: str) -> Path:
        """Return a cell's run folder."""
        return self.runs / "cells" / cell

    def record_path(self, cell: str) -> Path:
        """Return where a cell's record is."""
        return self._records / f"{cell}.json"

    def record(self, cell: str) -> dict[str, Any] | None:
        """Return a cell's record, None if there is none."""
        path = self.record_path(cell)
        return read_record(path) if path.exists() else None

    def records(self) -> dict[str, dict[str, Any]]:
        """Return every record of the store by its cell."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._records) if RECORD_NAME.fullmatch(entry.name))
        except FileNotFoundError:
            return {}
        return {name.removesuffix(".json"): read_record(self._records / name) for name in names}

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Return of every record what says how far the study is: :data:`_SUMMARY`, and the curve's last point.

        Kept beside the runs and read again for records that have changed: thousands of whole records take seconds.
        """
        index = self.runs / "records.json"
        try:
            known: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        found: dict[str, Any] = {}
        try:
            entries = [entry for entry in os.scandir(self._records) if RECORD_NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            entries = []
        for entry in entries:
            stat, cell = entry.stat(), entry.name.removesuffix(".json")
            stamp = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
            if cell in known and known[cell][0] == stamp:
                found[cell] = known[cell]
                continue
            record = read_record(Path(entry.path))
            kept = {key: record[key] for key in _SUMMARY if key in record}
            found[cell] = [stamp, {**kept, "curve": (record.get("curve") or [])[-1:]}]
        if found != known:
            with contextlib.suppress(OSError):  # a read-only or full disk can still be looked at
                write_text_atomically(index, json.dumps(found))
        return {cell: summary for cell, (_, summary) in sorted(found.items())}

    def write(self, cell: str, record: Mapping[str, Any]) -> None:
        """Keep a cell's record, in one step."""
        write_record(record, self.record_path(cell))

    def started(self) -> set[str]:
        """Return the cells that have a run folder here."""
        try:
            return {path.name for path in (self.runs / "cells").iterdir()}
        except FileNotFoundError:
            return set()

    # --- attempts --------------------------------------------------------------------------------------------------

    def attempts(self, cell: str) -> list[dict[str, Any]]:
        """Return what was tried so far: those of the run folder, else (another machine's) those of the record."""
        path = self.run_dir(cell) / "attempts.json"
        try:
            attempts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            attempts = list((self.record(cell) or {}).get("attempts", []))
        return attempts

    def start_attempt(self, cell: str) -> list[dict[str, Any]]:
        """Note that a cell starts; an earlier attempt that never ended was interrupted."""
        attempts = self.attempts(cell)
        for attempt in attempts:
            if attempt["outcome"] == "running":
                attempt["outcome"] = "interrupted"
        attempts.append({"started_at": now(), "finished_at": None, "outcome": "running", "error": None})
        self._write_attempts(cell, attempts)
        return attempts

    def end_attempt(self, cell: str, outcome: str, error: str | None = None) -> list[dict[str, Any]]:
        """Note how the running attempt ended: ``finished``, ``failed``, ``interrupted`` or ``lost``."""
        attempts = self.attempts(cell)
        attempts[-1].update(finished_at=now(), outcome=outcome, error=error)
        self._write_attempts(cell, attempts)
        return attempts

    def _write_attempts(self, cell: str, attempts: list[dict[str, Any]]) -> None:
        path = self.run_dir(cell) / "attempts.json"
        try:
            write_text_atomically(path, json.dumps(attempts, indent=1))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; make room and re-run the same command") from error

    def close(self) -> None:
        """Give all locks back."""
        self.locks.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
