"""Run the cells of a study that are not finished, on an executor, into the store."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpflu_bench.records import FILE_NAME, SCHEMA, identity, read_record
from lpflu_bench.studies.cell import RUNNER, Job, Outcome
from lpflu_bench.studies.executors.base import Executor
from lpflu_bench.studies.grid import Cell
from lpflu_bench.studies.store import Owner, Store

_POLL_SECONDS = 0.5


class Progress(Protocol):
    """Receives progress events."""

    def started(self, cell: Cell) -> None:
        """A cell has started."""

    def ended(self, cell: Cell, outcome: Outcome, state: str) -> None:
        """A cell ended: ``finished``, ``failed``, ``retry`` or ``lost``."""

    def tick(self, queued: Sequence[Cell], slots: int) -> None:
        """Time has passed."""


@dataclass
class Summary:
    """What a run of a study did."""

    finished: list[Cell] = field(default_factory=list)
    failed: dict[Cell, str] = field(default_factory=dict)
    claimed_elsewhere: dict[Cell, Owner | None] = field(default_factory=dict)
    """Cells that another process is at work on."""
    left: int = 0
    """Cells not started: a limit was reached, or the run was stopped."""
    interrupted: bool = False


class StudyRun:
    """Gives cells to an executor and keeps what comes back.

    Args:
        store: of the study.
        executor: what runs the cells; closed at the end.
        config_of: gives a cell's configuration, machine settings included.
        progress: looks on.
        retries: how often a cell that crashed, hung or failed by accident is run again before it counts as failed.
        fail_fast: stop everything at the first failed cell.
        limit: start at most so many cells.
        runner: what runs a cell (:attr:`Job.runner`).
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        config_of: Callable[[Cell], dict[str, Any]],
        progress: Progress,
        *,
        retries: int = 1,
        fail_fast: bool = False,
        limit: int | None = None,
        runner: str = RUNNER,
    ) -> None:
        self._store, self._executor, self._config_of, self._progress = store, executor, config_of, progress
        self._retries, self._fail_fast, self._limit, self._runner = retries, fail_fast, limit, runner
        self._tries: Counter[str] = Counter()
        self._running: dict[str, Cell] = {}
        self._started: set[str] = set()
        self._stop = False
        self.summary = Summary()

    @property
    def stopped(self) -> bool:
        """Whether a failed cell has stopped everything."""
        return self._stop

    def run(self, cells: Sequence[Cell]) -> Summary:
        """Run the cells that are not finished; an interrupt ends them where they are and is noted in the summary."""
        queue = deque(cells)
        try:
            while True:
                self._fill(queue)
                if not self._running and (self._stop or self._next(queue) is None):
                    break
                for job, outcome in self._executor.poll(_POLL_SECONDS):
                    self._end(self._running.pop(job.cell), outcome, queue)
                if self._stop:
                    self._drop_running("interrupted")
                    break
                self._progress.tick(queue, self._executor.slots())
        except KeyboardInterrupt:
            self.summary.interrupted = True
            self._drop_running("interrupted")
        self.summary.left = len(queue)
        return self.summary

    def _next(self, queue: deque[Cell]) -> Cell | None:
        """Return the next cell to start; once the limit is reached, only one that is run again."""
        if self._limit is None or len(self._started) < self._limit:
            return queue[0] if queue else None
        return next((cell for cell in queue if cell.hash in self._started), None)

    def _fill(self, queue: deque[Cell]) -> None:
        while not self._stop and len(self._running) < self._executor.slots():
            cell = self._next(queue)
            if cell is None:
                return
            queue.remove(cell)
            if not self._store.claim(cell.hash):
                self.summary.claimed_elsewhere[cell] = self._store.running().get(cell.hash)
                continue
            record = self._store.record(cell.hash)  # after the claim: another process may just have finished it
            if record is not None and record["status"] == "finished":
                self._store.release(cell.hash)
                continue
            self._store.start_attempt(cell.hash)
            self._started.add(cell.hash)
            folder = str(self._store.run_dir(cell.hash).absolute())
            self._running[cell.hash] = cell
            self._executor.submit(Job(cell.hash, str(cell), self._config_of(cell), folder, self._runner))
            self._progress.started(cell)

    def _end(self, cell: Cell, outcome: Outcome, queue: deque[Cell]) -> None:
        if not self._store.holds(cell.hash):  # this machine slept; another one has taken the cell over
            self.summary.claimed_elsewhere[cell] = self._store.running().get(cell.hash)
            self._store.release(cell.hash)
            return
        outcome = _checked(cell, outcome)
        if outcome.record is not None:
            state = "finished"
            attempts = self._store.end_attempt(cell.hash, "finished")
            self._store.write(cell.hash, {**outcome.record, "cell": dict(cell.labels), "attempts": attempts})
            self.summary.finished.append(cell)
        elif outcome.lost:
            state = "lost"
            self._store.end_attempt(cell.hash, "lost", outcome.error)
            queue.appendleft(cell)
        else:
            attempts = self._store.end_attempt(cell.hash, "failed", outcome.error)
            self._tries[cell.hash] += 1
            if not outcome.final and self._tries[cell.hash] <= self._retries:
                state = "retry"
                queue.append(cell)
            else:
                state = "failed"
                self._store.write(cell.hash, self._failed_record(cell, outcome, attempts))
                self.summary.failed[cell] = str(outcome.error)
                self._stop = self._stop or self._fail_fast
        self._store.release(cell.hash)
        self._progress.ended(cell, outcome, state)

    def _failed_record(self, cell: Cell, outcome: Outcome, attempts: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the run's own record of its failure, or a short one of a run that crashed without writing a record."""
        path = self._store.run_dir(cell.hash) / FILE_NAME
        config = identity(self._config_of(cell))
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "failed_at": None,
            "task": cell.labels.get("task"),
            "network": cell.labels.get("network"),
            "activation": cell.labels.get("activation"),
            "seed": cell.seed,
            "config": config,
            "config_hash": cell.hash,
            "started_at": attempts[-1]["started_at"],
            "finished_at": attempts[-1]["finished_at"],
        }
        if path.exists():
            written = read_record(path)
            if written["status"] == "failed" and written["finished_at"] >= attempts[-1]["started_at"]:
                record = written
        return {
            **record,
            "status": "failed",
            "error": outcome.error,
            "cell": dict(cell.labels),
            "attempts": attempts,
        }

    def _drop_running(self, outcome: str) -> None:
        self._executor.close()
        for cell in self._running.values():
            self._store.end_attempt(cell.hash, outcome)
            self._store.release(cell.hash)
        self._running.clear()


def _checked(cell: Cell, outcome: Outcome) -> Outcome:
    record = outcome.record
    if record is None or (record["status"] == "finished" and record["config_hash"] == cell.hash):
        return outcome
    if record["status"] != "finished":
        problem = f"the run ended with a record that says '{record['status']}'"
    else:
        problem = f"the run's configuration has the hash {record['config_hash']}, the plan's {cell.hash}"
    return Outcome(error=problem, final=True, seconds=outcome.seconds, host=outcome.host)
