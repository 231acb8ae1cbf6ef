"""Which process runs which cell: locks that survive clock changes, containers that share a host name, and zombies."""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from lpflu_bench.errors import UserError

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""A process of another machine that shows no heartbeat for this long, by the observer's own clock, is considered dead."""

State = Literal["free", "held", "unknown"]


def machine_id() -> str:
    """Return what names this running system: Linux's boot id (containers share it), else host name and network card."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"{socket.gethostname()}-{uuid.getnode():x}"


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        host: for people.
        pid: for people; in a container it means nothing outside.
        machine: of :func:`machine_id`.
        token: its own.
    """

    host: str
    pid: int
    machine: str
    token: str

    @classmethod
    def this_process(cls) -> "Owner":
        """Return this process with a new token."""
        return cls(socket.gethostname(), os.getpid(), machine_id(), uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass
class _Watch:
    """What has been seen of another machine's owner."""

    heartbeat: int
    since: float
    moved: bool = False


class Locks:
    """The locks of one study's cells: ``<folder>/<cell>`` names the owner, ``<folder>/.<token>`` shows that it lives.

    The owner keeps its second file locked (``flock``), which the system undoes when the process ends, however it ends
    and whatever the clock says; so a process of the same running system is known to live or not at once. Of another
    machine, whose locks a file system may not pass on, only the heartbeat is believed: the file's time changes every
    ten seconds; how long it has not is measured by the observer's own clock, never by comparing times of two machines.

    Args:
        folder: on a file system with ``flock``, shared by all who work on the study.
    """

    def __init__(self, folder: Path) -> None:
        self.owner = Owner.this_process()
        self._folder = folder
        self._held: set[str] = set()
        self._life: IO[str] | None = None
        self._watched: dict[str, _Watch] = {}
        self._stop = threading.Event()

    # --- taking and giving back --------------------------------------------------------------------------------------

    def claim(self, cell: str) -> bool:
        """Take a cell's lock, or that of a dead owner; False if another has it, or may."""
        with self._guard():
            self._live()
            if self._state(cell) != "free":
                return False
            (self._folder / cell).unlink(missing_ok=True)
            with (self._folder / cell).open("x", encoding="utf-8") as file:
                json.dump(vars(self.owner), file)
            self._held.add(cell)
        return True

    def holds(self, cell: str) -> bool:
        """Return whether this process still has a cell's lock (one that was suspended may have lost it)."""
        return self._read(cell) == self.owner

    def release(self, cell: str) -> None:
        """Give a lock back."""
        with self._guard():
            self._held.discard(cell)
            if self.holds(cell):
                (self._folder / cell).unlink(missing_ok=True)

    def close(self) -> None:
        """Give all locks back."""
        self._stop.set()
        for cell in list(self._held):
            self.release(cell)
        if self._life is not None:
            self._life_path(self.owner).unlink(missing_ok=True)
            self._life.close()
            self._life = None

    # --- looking -----------------------------------------------------------------------------------------------------

    def state(self, cell: str) -> State:
        """Return whether a cell's lock is free (none, or of a dead owner) or held.

        ``unknown``: by another machine whose heartbeat has to be watched; ask again, for :data:`STALE_SECONDS` at most.
        """
        return self._state(cell)

    def running(self) -> dict[str, Owner]:
        """Return the cells that seem to be run now, and by whom; writes nothing.

        Another machine's owner counts if its last heartbeat is about now by this machine's clock.
        """
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if not entry.name.startswith("."))
        except FileNotFoundError:
            return {}
        found = {}
        for cell in names:
            owner = self._read(cell)
            if owner is None:
                continue
            if owner.machine == self.owner.machine:
                alive = self._locked(owner)
            else:
                heartbeat = self._heartbeat(owner)
                alive = heartbeat is not None and abs(time.time() - heartbeat / 1e9) < STALE_SECONDS
            if alive:
                found[cell] = owner
        return found

    def leftovers(self) -> list[Path]:
        """Return the files that dead processes of this machine have left: locks, and what showed that they lived."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name != ".guard")
        except FileNotFoundError:
            return []
        owners = {name: self._read(name) for name in names}
        return [
            self._folder / name
            for name, owner in owners.items()
            if owner is None or (owner.machine == self.owner.machine and not self._locked(owner))
        ]

    # --- how -----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Let one process at a time look at and change locks."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".guard").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise UserError(f"cannot lock cells in {self._folder}: {error.strerror}") from error

    def _live(self) -> None:
        """Show that this process lives, from its first claim on."""
        if self._life is not None:
            return
        self._life = self._life_path(self.owner).open("w", encoding="utf-8")
        fcntl.flock(self._life, fcntl.LOCK_EX)
        json.dump(vars(self.owner), self._life)
        self._life.flush()
        os.register_at_fork(after_in_child=self._life.close)  # a child that lives longer must not keep it locked
        self._beating = threading.Thread(target=self._beat, args=(self._life.fileno(),), daemon=True)
        self._beating.start()

    def _beat(self, life: int) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(life)

    def _life_path(self, owner: Owner) -> Path:
        return self._folder / f".{owner.token}"

    def _read(self, cell: str) -> Owner | None:
        try:
            return Owner(**json.loads((self._folder / cell).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # free, or a lock whose writer died while it wrote

    def _locked(self, owner: Owner) -> bool:
        """Return whether a process of this machine keeps its file locked."""
        try:
            with self._life_path(owner).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: lookers do not disturb one another
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _heartbeat(self, owner: Owner) -> int | None:
        """Return the time of an owner's last heartbeat by the file system's clock, None if it has none."""
        try:
            with self._life_path(owner).open("rb") as file:  # opening makes a network file system look again
                return os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return None

    def _state(self, cell: str) -> State:
        owner = self._read(cell)
        if owner is None:
            return "free"
        if owner.machine == self.owner.machine:
            return "held" if self._locked(owner) else "free"
        heartbeat = self._heartbeat(owner)
        if heartbeat is None:
            return "free"  # it has closed its store
        seen = self._watched.setdefault(owner.token, _Watch(heartbeat, time.monotonic()))
        if heartbeat != seen.heartbeat:
            seen.heartbeat, seen.since, seen.moved = heartbeat, time.monotonic(), True
        if time.monotonic() - seen.since > STALE_SECONDS:
            return "free"
        return "held" if seen.moved else "unknown"
