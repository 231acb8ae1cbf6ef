"""The runs of a try: a function and others on the same seeds, what they scored, and what follows."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpflu_bench.environment import usable_cores
from lpflu_bench.errors import NOT_FINITE
from lpflu_bench.inference.comparison import Comparison, compare
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import LastLooks, Stop, stop
from lpflu_bench.inference.verdicts import Verdict, Word
from lpflu_bench.records import Record
from lpflu_bench.scores import Score
from lpflu_bench.studies.cell import RUNNER, Outcome, PlannedTest
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.machine import for_this_machine, terminate_as_interrupt
from lpflu_bench.studies.plan import Cell, Plan
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store
from lpflu_bench.studies.tuning import validation_scores
from lpflu_bench.text import duration

_START_SECONDS = 4.0  # of a run, beside its training
_LATEST = 5  # runs that say how long one takes

Scores = dict[str, dict[int, float]]
"""Function -> seed -> score."""


class PairedRuns:
    """A function and those it is compared with, on the same seeds of some tasks.

    The runs of the functions compared with are kept apart from those of the function judged, and serve every try of the
    same package, data and folder.

    Args:
        plans: task -> its runs.
        name: what the function is called in them.
        against: the functions that it is compared with.
        rule: of each task, with looks; its level is the task's share.
        own: store of the function's runs.
        shared: store of the others'.
        roots: task label -> folder of its data.
        progress: is told what is being done.
        workers: runs at once; the cores by default.
        runner: what runs a cell.
    """

    def __init__(
        self,
        plans: Mapping[str, Plan],
        name: str,
        against: Sequence[str],
        rule: Rule,
        own: Store,
        shared: Store,
        *,
        roots: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = lambda _: None,
        workers: int | None = None,
        runner: str = RUNNER,
    ) -> None:
        self.plans, self.name, self.against, self.rule = plans, name, tuple(against), rule
        self.say, self.workers = progress, workers or usable_cores()
        self._own, self._shared, self._roots, self._runner = own, shared, dict(roots or {}), runner

    # --- what is there ---------------------------------------------------------------------------------------------

    def _store(self, cell: Cell) -> Store:
        return self._own if cell.labels["activation"] == self.name else self._shared

    def record(self, cell: Cell) -> Record | None:
        """Return a run's record; None if it has none."""
        return self._store(cell).record(cell.hash)

    def _functions(self) -> tuple[str, ...]:
        return (self.name, *self.against)

    def cells(self, task: str, function: str) -> list[Cell]:
        """Return a function's runs, in the order of their seeds."""
        return [cell for cell in self.plans[task].cells if cell.labels["activation"] == function]

    def score(self, task: str) -> Score:
        """Return a task's main score."""
        return self.plans[task].scores[0]

    def scores(self, task: str, value: Callable[[Record], float | None]) -> tuple[Scores, dict[str, list[int]]]:
        """Return the main score of each run, and the seeds of each function that have ended, in their order.

        A training that diverged counts with the worst score.
        """
        score = self.score(task)
        found: Scores = {name: {} for name in self._functions()}
        ended: dict[str, list[int]] = {name: [] for name in self._functions()}
        for name in self._functions():
            complete = True
            for cell in self.cells(task, name):
                record = self.record(cell)
                number = None if record is None else value(record)
                if record is not None and number is None and _diverged(record):
                    number = 100.0 if score.lower_is_better else 0.0
                complete &= number is not None
                if number is not None:
                    found[name][cell.seed] = number
                if complete:
                    ended[name].append(cell.seed)
        return found, ended

    def seconds_of(self, task: str) -> float | None:
        """Return how long a run of a task takes here, by the latest runs (the machine may be busy at times)."""
        times = []
        for cell in self.plans[task].cells:
            record = self.record(cell)
            if record is not None and record["status"] in ("fitted", "finished"):
                trained = record["trained"]
                times.append((trained["finished_at"], trained["seconds"] + _START_SECONDS))
        return statistics.median_low(seconds for _, seconds in sorted(times)[-_LATEST:]) if times else None

    def validation(self, task: str) -> Callable[[Record], float | None]:
        """Return what gives a record's main score on the validation split, None where it has none."""
        name = self.score(task).name
        return lambda record: finite(validation_scores(record).get(name))

    # --- what follows -------------------------------------------------------------------------------------------------

    def compare(self, task: str, looked: LastLooks) -> dict[str, Comparison]:
        """Return function - other for each other; all intervals of the task hold together."""
        compared = compare(looked.values, self.name, family=len(self.against), level=looked.level)
        return {other: replace(one, difference=0.0 - one.difference) for other, one in compared.items()}

    def verdict(self, task: str, other: str, comparison: Comparison | None, look: int) -> Verdict:
        """Return what is concluded of the function beside another at a look; 0 for none yet."""
        if comparison is None or not look:
            return Verdict(Word.NONE, reason="the first look is still to come")
        if self._identical(task, other, self.rule.looks[look - 1]):
            return Verdict(Word.EQUIVALENT, reason="every run is the same to the last digit")
        score = self.score(task)
        return comparison.verdict(lower_is_better=score.lower_is_better, margin=self.rule.margin_of(score.name))

    def _identical(self, task: str, other: str, seeds: int) -> bool:
        pairs = list(zip(self.cells(task, self.name), self.cells(task, other), strict=True))[:seeds]
        records = [(self.record(ours), self.record(theirs)) for ours, theirs in pairs]
        return all(
            a is not None and b is not None and a["trained"]["curve"] and a["trained"]["curve"] == b["trained"]["curve"]
            for a, b in records
        )

    def stop(self, task: str, other: str, looked: LastLooks, compared: Mapping[str, Comparison]) -> Stop | None:
        """Return why no more seeds are wanted for the comparison with another; None if more are."""
        look = min(looked.number[self.name], looked.number[other])
        verdict = self.verdict(task, other, compared.get(other), look)
        margin = self.rule.margin_of(self.score(task).name)
        family = len(self.against)
        return stop(compared.get(other), verdict, look=look, rule=self.rule, family=family, margin=margin)

    # --- running ---------------------------------------------------------------------------------------------------

    def executor(self, seconds: float | None = None) -> ProcessExecutor:
        """Return what runs them, each run for no longer than ``seconds``."""
        return ProcessExecutor(Path(), self.workers, seconds)

    def run(self, executor: ProcessExecutor, task: str, cells: Sequence[Cell], tests: tuple[PlannedTest, ...]) -> None:
        """Train the cells of a task that have not been, and put them to the tests.

        Raises:
            KeyboardInterrupt: the user stopped it.
        """
        plan = self.plans[task]
        for store in (self._shared, self._own):
            mine = [cell for cell in cells if self._store(cell) is store]
            if not mine:
                continue
            watch = _Watch(self.say, f"{task}, {'testing' if tests else 'training'}", len(mine))
            with store, terminate_as_interrupt():
                run = StudyRun(
                    store,
                    executor,
                    lambda cell: for_this_machine(plan.config(cell), self._roots),
                    watch,
                    runner=self._runner,
                    tests_of=lambda _: tests,
                )
                summary = run.run(mine)
            if summary.interrupted:
                raise KeyboardInterrupt("re-run the same command to continue")


class _Watch:
    """Says how far the runs are."""

    def __init__(self, say: Callable[[str], None], what: str, total: int) -> None:
        self._say, self._what, self._total, self._done = say, what, total, 0
        self._begin = time.monotonic()

    def started(self, cell: Cell) -> None:
        """Nothing to say."""

    def ended(self, cell: Cell, outcome: Outcome, state: str) -> None:
        """Count."""
        self._done += 1
        spent = duration(time.monotonic() - self._begin)
        self._say(f"{self._what}: {min(self._done, self._total)} of {self._total} runs, {spent}")

    def tick(self, queued: Sequence[Cell], slots: int) -> None:
        """Nothing to say."""


def finite(value: Any) -> float | None:
    """Return a finite number, or None."""
    return float(value) if value is not None and math.isfinite(value) else None


def _diverged(record: Record) -> bool:
    return record["status"] == "failed" and NOT_FINITE in str(record["error"])
