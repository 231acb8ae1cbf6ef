"""Run the cells of a study that are not finished, on an executor, into the store."""

import base64
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpflu_bench.errors import UserError
from lpflu_bench.identity import identity
from lpflu_bench.record_files import read_record
from lpflu_bench.records import FILE_NAME, Attempt, Record, blank
from lpflu_bench.studies.cell import RUNNER, Job, Outcome, PlannedTest, is_finished
from lpflu_bench.studies.executors.base import Executor
from lpflu_bench.studies.locks import Owner
from lpflu_bench.studies.plan import Cell
from lpflu_bench.studies.store import Store

_POLL_SECONDS = 0.5
_LOOK_SECONDS = 2.0


class Progress(Protocol):
    """Receives progress events."""

    def started(self, cell: Cell) -> None:
        """A cell has started."""

    def ended(self, cell: Cell, outcome: Outcome, state: str) -> None:
        """A cell ended: ``finished``, ``partial``, ``failed``, ``retry`` or ``lost``."""

    def tick(self, queued: Sequence[Cell], slots: int) -> None:
        """Time has passed."""


@dataclass
class Summary:
    """What a run of a study did."""

    finished: list[Cell] = field(default_factory=list)
    failed: dict[Cell, str] = field(default_factory=dict)
    partial: dict[Cell, str] = field(default_factory=dict)
    """Cells that were trained or tested with less than there is, and why."""
    claimed_elsewhere: dict[Cell, Owner | None] = field(default_factory=dict)
    """Cells that another process is still running."""
    left: int = 0
    """Cells not started: a limit was reached, or the run was stopped."""
    interrupted: bool = False


class StudyRun:
    """Gives cells to an executor and keeps what comes back.

    Args:
        store: of the study.
        executor: what runs the cells; closed at the end.
        config_of: gives a cell's configuration, machine settings included.
        progress: receives progress events.
        retries: how often a cell that crashed, hung or failed by accident is run again before it counts as failed.
        fail_fast: stop everything at the first failed cell.
        limit: maximum number of cells to start.
        before_start: called before each cell is started; what it raises stops the run.
        runner: what runs a cell (:attr:`Job.runner`).
        tests_of: gives what a cell is tested under.
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
        before_start: Callable[[], None] = lambda: None,
        runner: str = RUNNER,
        tests_of: Callable[[Cell], tuple[PlannedTest, ...]] = lambda _: (PlannedTest(),),
    ) -> None:
        self._store, self._executor, self._config_of, self._progress = store, executor, config_of, progress
        self._retries, self._fail_fast, self._limit, self._runner = retries, fail_fast, limit, runner
        self._before_start = before_start
        self._tests_of = tests_of
        self._tries: Counter[str] = Counter()
        self._running: dict[str, Cell] = {}
        self._started: set[str] = set()
        self._elsewhere: list[Cell] = []
        self._looked = 0.0
        self._stop = False
        self.summary = Summary()

    @property
    def stopped(self) -> bool:
        """Whether a failed cell has stopped everything."""
        return self._stop

    def run(self, cells: Sequence[Cell]) -> Summary:
        """Run the cells that are not finished; an interrupt ends them where they are and is noted in the summary.

        A cell that another process is running is tried again as long as there is something else to do, and until it
        is sure that the other one lives.

        Raises:
            UserError: the disk is full or cannot be written to; what ran is interrupted, and none counts as failed.
        """
        queue = deque(cells)
        try:
            while True:
                self._fill(queue)
                undecided = self._take_back(queue)
                if not self._running and (self._stop or self._next(queue) is None):
                    if self._stop or queue or not undecided:
                        break
                    time.sleep(_POLL_SECONDS)
                if not self._running:
                    continue
                for job, outcome in self._executor.poll(_POLL_SECONDS):
                    self._end(self._running.pop(job.cell), outcome, queue)
                if self._stop:
                    self._drop_running("interrupted")
                    break
                self._progress.tick(queue, self._executor.slots())
        except KeyboardInterrupt:
            self.summary.interrupted = True
            self._drop_running("interrupted")
        except UserError:
            self._drop_running("interrupted")
            raise
        self.summary.left = len(queue)
        owners = self._store.locks.running()
        self.summary.claimed_elsewhere = {cell: owners.get(cell.hash) for cell in self._elsewhere}
        return self.summary

    def _take_back(self, queue: deque[Cell]) -> bool:
        """Queue the cells held elsewhere that have become free; return whether it is unclear for some of the others."""
        if not self._elsewhere:
            return False
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return True
        states = {cell: self._store.locks.state(cell.hash) for cell in self._elsewhere}
        self._looked = time.monotonic()
        free = [cell for cell, state in states.items() if state == "free"]
        queue.extend(free)
        self._elsewhere = [cell for cell in self._elsewhere if cell not in free]
        return "unknown" in states.values()

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
            self._before_start()
            queue.remove(cell)
            if not self._store.locks.claim(cell.hash):
                self._elsewhere.append(cell)
                continue
            record = self._store.record(cell.hash)  # after the claim: another process may just have finished it
            tests = self._tests_of(cell)
            if is_finished(record, tests):
                self._store.locks.release(cell.hash)
                continue
            self._store.start_attempt(cell.hash)
            self._started.add(cell.hash)
            folder = str(self._store.run_dir(cell.hash).absolute())
            self._running[cell.hash] = cell
            self._executor.submit(Job(cell.hash, str(cell), self._config_of(cell), folder, self._runner, tests))
            self._progress.started(cell)

    def _end(self, cell: Cell, outcome: Outcome, queue: deque[Cell]) -> None:
        if not self._store.locks.holds(cell.hash):  # this machine slept; another one has taken the cell over
            self._elsewhere.append(cell)
            self._store.locks.release(cell.hash)
            return
        if outcome.disk:
            self._running[cell.hash] = cell
            reason = str(outcome.error).partition("; ")[0]  # without advice of its own
            raise UserError(
                f"stopped, with the runs in progress interrupted, because of the disk: {reason}; free "
                "some space or name another folder, then run the same command again to resume"
            )
        outcome = _checked(cell, outcome, self._tests_of(cell))
        if outcome.record is not None:
            state = str(outcome.record["status"])
            attempts = self._store.end_attempt(cell.hash, state)
            outcomes = base64.b64decode(outcome.outcomes) if outcome.outcomes else None
            record: Record = {**outcome.record, "cell": dict(cell.labels), "attempts": attempts}
            self._store.write(cell.hash, record, outcomes)
            if is_finished(record, self._tests_of(cell)):
                self.summary.finished.append(cell)
            else:
                self.summary.partial[cell] = "; ".join(dict.fromkeys(_shortfalls(record)))
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
        self._store.locks.release(cell.hash)
        self._progress.ended(cell, outcome, state)

    def _failed_record(self, cell: Cell, outcome: Outcome, attempts: list[Attempt]) -> Record:
        """Return the run's own record of its failure, or a short one of a run that crashed without writing a record."""
        started = attempts[-1]["started_at"]
        record = blank(
            config=identity(self._config_of(cell)),
            config_hash=cell.hash,
            seed=cell.seed,
            labels=cell.labels,
            at=attempts[-1]["finished_at"] or started,
        )
        try:
            written = read_record(self._store.run_dir(cell.hash) / FILE_NAME)
            if written["status"] == "failed" and written["written_at"] >= started:
                record = written
        except UserError:
            pass  # it left none
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
            with contextlib.suppress(UserError):  # a full disk: the next attempt will note how this one ended
                self._store.end_attempt(cell.hash, outcome)
            with contextlib.suppress(UserError):
                self._store.locks.release(cell.hash)
        self._running.clear()


def _shortfalls(record: Record) -> list[str]:
    reasons = [record["trained"]["incomplete"], *(test["incomplete"] for test in record["tested"])]
    return [reason for reason in reasons if reason]


def _checked(cell: Cell, outcome: Outcome, tests: Sequence[PlannedTest]) -> Outcome:
    record = outcome.record
    if record is None:
        return outcome
    digest = record["trained"]["config_hash"]
    ended = ("finished", "partial") if tests else ("finished", "partial", "fitted")
    if record["status"] not in ended:
        problem = f"the run ended with a record that says '{record['status']}'"
    elif digest != cell.hash:
        problem = f"the run's configuration has the hash {digest}, the plan's {cell.hash}"
    else:
        return outcome
    return Outcome(error=problem, final=True, seconds=outcome.seconds, host=outcome.host)
