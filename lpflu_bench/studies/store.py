"""A study's run records, attempts and locks."""

import contextlib
import fcntl
import json
import os
import re
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lpflu_bench.errors import UserError
from lpflu_bench.files import write_text_atomically
from lpflu_bench.records import read_record, write_record

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""A lock without a heartbeat for this long is stale (that of a dead process of this machine is at once)."""
_SUMMARY = ("schema", "status", "error", "cell", "attempts", "metrics", "scores")
_RECORD = re.compile(r"[0-9a-f]{16}\.json")


def now() -> str:
    """Return the time as it stands in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    pid: int
    started: float
    token: str

    @classmethod
    def this_process(cls) -> "Owner":
        """Return this process with a new token."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), uuid.uuid4().hex)

    @property
    def dead(self) -> bool:
        """Whether it was a process of this machine that is gone (another one may have its number now)."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 1.0
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Store:
    """The records and the runs of one study.

    ``results/<study>/records/<hash>.json`` is a cell's record: small, committed, the only thing that reports read.
    ``runs/<study>/cells/<hash>/`` is its run folder (checkpoint, logs, attempts), ``runs/<study>/locks/<hash>`` the
    lock of the process at work on it. Several processes, on one machine or on a shared file system, may use a store at
    once.

    Args:
        study: the study's name.
        results: the folder of all studies' results.
        runs: the folder of all studies' runs.
    """

    def __init__(self, study: str, results: Path, runs: Path) -> None:
        self.results = results / study
        self.runs = runs / study
        self._records = self.results / "records"
        self._locks = self.runs / "locks"
        self.owner = Owner.this_process()
        self._held: set[str] = set()
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None

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
            names = sorted(entry.name for entry in os.scandir(self._records) if _RECORD.fullmatch(entry.name))
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
            entries = [entry for entry in os.scandir(self._records) if _RECORD.fullmatch(entry.name)]
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
        write_text_atomically(self.run_dir(cell) / "attempts.json", json.dumps(attempts, indent=1))

    # --- locks -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _guard(self) -> Iterator[float]:
        """Let one process at a time look at and change locks; gives the file system's time."""
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            with (self._locks / ".guard").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.utime(file.fileno())
                yield os.fstat(file.fileno()).st_mtime
        except OSError as error:
            raise UserError(f"cannot lock cells in {self._locks}: {error.strerror}") from error

    @staticmethod
    def _read_lock(path: Path) -> Owner | None:
        try:
            return Owner(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _alive(self, path: Path, time: float) -> Owner | None:
        owner = self._read_lock(path)
        if owner is None or owner.dead:
            return None
        try:
            return owner if time - path.stat().st_mtime < STALE_SECONDS else None
        except FileNotFoundError:
            return None

    def claim(self, cell: str) -> bool:
        """Take a cell's lock, or that of a dead owner; False if a living one has it."""
        path = self._locks / cell
        with self._guard() as time:
            if path.exists():
                if self._alive(path, time):
                    return False
                path.unlink(missing_ok=True)
            with path.open("x", encoding="utf-8") as file:
                json.dump(vars(self.owner), file)
            self._held.add(cell)
        if self._heart is None:
            self._heart = threading.Thread(target=self._beat, daemon=True)
            self._heart.start()
        return True

    def holds(self, cell: str) -> bool:
        """Return whether this store still has a cell's lock (a process that was suspended may have lost it)."""
        return self._read_lock(self._locks / cell) == self.owner

    def release(self, cell: str) -> None:
        """Give a lock back."""
        with self._guard():
            self._held.discard(cell)
            if self.holds(cell):
                (self._locks / cell).unlink(missing_ok=True)

    def running(self) -> dict[str, Owner]:
        """Return the cells that are being run now, and by whom."""
        if not self._locks.is_dir():
            return {}
        with self._guard() as time:
            paths = [path for path in self._locks.iterdir() if not path.name.startswith(".")]
            owners = {path.name: self._alive(path, time) for path in paths}
        return {cell: owner for cell, owner in owners.items() if owner}

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            for cell in list(self._held):
                with contextlib.suppress(OSError):
                    os.utime(self._locks / cell)

    def close(self) -> None:
        """Give all locks back."""
        self._stop.set()
        for cell in list(self._held):
            self.release(cell)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
