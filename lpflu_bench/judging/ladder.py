"""Does it help? Trainings on paired seeds, the cheap ones first, more only while something is undecided."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lpflu_bench.errors import NOT_FINITE, UserError
from lpflu_bench.inference.comparison import Comparison, compare
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import LastLooks, Stop, last_looks, stop
from lpflu_bench.inference.verdicts import Verdict, Word
from lpflu_bench.judging.rungs import TaskResult, Versus
from lpflu_bench.records import Record, metrics
from lpflu_bench.scores import Score
from lpflu_bench.studies.cell import RUNNER, Outcome, PlannedTest
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.executors.worker_process import usable_cores
from lpflu_bench.studies.grid import Cell, Plan
from lpflu_bench.studies.machine import for_this_machine, terminate_as_interrupt
from lpflu_bench.studies.run import StudyRun
from lpflu_bench.studies.store import Store
from lpflu_bench.studies.tuning import validation_scores
from lpflu_bench.text import duration

TEST_SHARE = 0.1
"""Of the budget, kept for scoring the test sets."""
_START_SECONDS = 4.0  # of a run, beside its training
_SHORTEST_LIMIT = 60.0

Scores = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Rung:
    """One task's next look: the runs that are missing for it."""

    task: str
    look: int
    cells: tuple[Cell, ...]


class Ladder:
    """Trains until everything is decided or the time is up; then scores the test sets, once.

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
        self._plans, self._name, self._against, self._rule = plans, name, tuple(against), rule
        self._own, self._shared, self._roots = own, shared, dict(roots or {})
        self._say, self._workers, self._runner = progress, workers or usable_cores(), runner
        self._tried: set[str] = set()
        self._scored = False
        self.stopped = ""
        """Why nothing more was trained."""

    # --- what is there ---------------------------------------------------------------------------------------------

    def _store(self, cell: Cell) -> Store:
        return self._own if cell.labels["activation"] == self._name else self._shared

    def _record(self, cell: Cell) -> Record | None:
        return self._store(cell).record(cell.hash)

    def _functions(self) -> tuple[str, ...]:
        return (self._name, *self._against)

    def _cells(self, task: str, function: str) -> list[Cell]:
        return [cell for cell in self._plans[task].cells if cell.labels["activation"] == function]

    def _score(self, task: str) -> Score:
        return self._plans[task].scores[0]

    def _scores(self, task: str, value: Callable[[Record], float | None]) -> tuple[Scores, dict[str, list[int]]]:
        """Return the main score of each run, and the seeds of each function that have ended, in their order.

        A training that diverged counts with the worst score.
        """
        score = self._score(task)
        found: Scores = {name: {} for name in self._functions()}
        ended: dict[str, list[int]] = {name: [] for name in self._functions()}
        for name in self._functions():
            complete = True
            for cell in self._cells(task, name):
                record = self._record(cell)
                number = None if record is None else value(record)
                if record is not None and number is None and _diverged(record):
                    number = 100.0 if score.lower_is_better else 0.0
                complete &= number is not None
                if number is not None:
                    found[name][cell.seed] = number
                if complete:
                    ended[name].append(cell.seed)
        return found, ended

    # --- comparing -------------------------------------------------------------------------------------------------

    def _compare(self, task: str, looked: LastLooks) -> dict[str, Comparison]:
        """Return function - other for each other; all intervals of the task hold together."""
        compared = compare(looked.values, self._name, family=len(self._against), level=looked.level)
        return {other: replace(one, difference=0.0 - one.difference) for other, one in compared.items()}

    def _verdict(self, task: str, other: str, comparison: Comparison | None, look: int) -> Verdict:
        if comparison is None or not look:
            return Verdict(Word.NONE, reason="the first look is still to come")
        if self._identical(task, other, self._rule.looks[look - 1]):
            return Verdict(Word.EQUIVALENT, reason="every run is the same to the last digit")
        score = self._score(task)
        return comparison.verdict(lower_is_better=score.lower_is_better, margin=self._rule.margin_of(score.name))

    def _identical(self, task: str, other: str, seeds: int) -> bool:
        pairs = list(zip(self._cells(task, self._name), self._cells(task, other), strict=True))[:seeds]
        records = [(self._record(ours), self._record(theirs)) for ours, theirs in pairs]
        return all(
            a is not None and b is not None and a["trained"]["curve"] and a["trained"]["curve"] == b["trained"]["curve"]
            for a, b in records
        )

    # --- climbing --------------------------------------------------------------------------------------------------

    def climb(self, seconds: float) -> None:
        """Train, by the validation scores alone, until all is decided or ``seconds`` have passed.

        Raises:
            KeyboardInterrupt: the user stopped it; what ran is resumed next time.
            UserError: the disk is full.
        """
        end = time.monotonic() + seconds
        executor = ProcessExecutor(Path(), self._workers, max(seconds, _SHORTEST_LIMIT))
        try:
            while True:
                rungs = [rung for task in self._plans if (rung := self._next(task)) is not None]
                if not rungs:
                    self.stopped = "Stopped: nothing is left to decide, or no more seeds could decide it."
                    return
                order = list(self._plans)
                rungs.sort(key=lambda rung: (rung.look, order.index(rung.task)))
                fitting = next((rung for rung in rungs if self._fits(rung, end - time.monotonic())), None)
                if fitting is None:
                    left = ", ".join(f"{rung.task} (look {rung.look})" for rung in rungs)
                    self.stopped = f"Stopped: the budget does not hold the next step of {left}."
                    return
                self._train(executor, fitting)
        finally:
            executor.close()

    def _next(self, task: str) -> Rung | None:
        """Return what is missing for a task's next look; None where nothing more is wanted, or can be had."""
        values, ended = self._scores(task, self._validation(task))
        looked = last_looks(values, ended, self._rule)
        compared = self._compare(task, looked)
        undecided = [other for other in self._against if self._stop(task, other, looked, compared) is None]
        if not undecided:
            return None
        look = min(looked.number[name] for name in (self._name, *undecided))
        seeds = self._rule.looks[look]
        wanted = [cell for name in (self._name, *undecided) for cell in self._cells(task, name)[:seeds]]
        missing = [cell for cell in wanted if cell.seed not in values[str(cell.labels["activation"])]]
        cells = tuple(sorted((cell for cell in missing if cell.hash not in self._tried), key=lambda cell: cell.seed))
        return Rung(task, look + 1, cells) if cells else None

    def _stop(self, task: str, other: str, looked: LastLooks, compared: Mapping[str, Comparison]) -> Stop | None:
        look = min(looked.number[self._name], looked.number[other])
        verdict = self._verdict(task, other, compared.get(other), look)
        margin = self._rule.margin_of(self._score(task).name)
        family = len(self._against)
        return stop(compared.get(other), verdict, look=look, rule=self._rule, family=family, margin=margin)

    def _validation(self, task: str) -> Callable[[Record], float | None]:
        name = self._score(task).name
        return lambda record: _finite(validation_scores(record).get(name))

    def seconds_of(self, task: str) -> float | None:
        """Return how long a run of a task takes here, the median of those that are there; None if there is none."""
        times = []
        for cell in self._plans[task].cells:
            record = self._record(cell)
            if record is not None and record["status"] in ("fitted", "finished"):
                times.append(record["trained"]["seconds"] + _START_SECONDS)
        return sorted(times)[len(times) // 2] if times else None

    def _fits(self, rung: Rung, seconds: float) -> bool:
        each = self.seconds_of(rung.task)
        if each is None:  # the runs of one seed will tell
            return seconds > 0
        return each * math.ceil(len(rung.cells) / self._workers) <= seconds

    def first_look_seconds(self, task: str) -> float | None:
        """Return how long a task's first look takes from here on; None if no run of it is known."""
        rung, each = self._next(task), self.seconds_of(task)
        if each is None:
            return None
        return 0.0 if rung is None or rung.look > 1 else each * math.ceil(len(rung.cells) / self._workers)

    def pilot(self, task: str) -> None:
        """Train one run of a task, of a function that is compared with, to know how long it takes."""
        if self.seconds_of(task) is None:
            executor = ProcessExecutor(Path(), self._workers)  # as many threads for it as for all that follow
            try:
                self._run(executor, task, [self._cells(task, self._against[0])[0]], ())
            finally:
                executor.close()

    def _train(self, executor: ProcessExecutor, rung: Rung) -> None:
        cells = rung.cells
        if self.seconds_of(rung.task) is None:
            cells = tuple(cell for cell in cells if cell.seed == cells[0].seed)
        self._tried |= {cell.hash for cell in cells}
        self._say(f"{rung.task}, look {rung.look}: {len(cells)} trainings")
        self._run(executor, rung.task, cells, ())

    def _run(self, executor: ProcessExecutor, task: str, cells: Sequence[Cell], tests: tuple[PlannedTest, ...]) -> None:
        plan = self._plans[task]
        for store in (self._shared, self._own):
            mine = [cell for cell in cells if self._store(cell) is store]
            if not mine:
                continue
            watch = _Watch(self._say, f"{task}, {'testing' if tests else 'training'}", len(mine))
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

    # --- the sealed test -------------------------------------------------------------------------------------------

    def score_tests(self) -> list[TaskResult]:
        """Score the test sets with every network that was trained, and return the verdicts that follow.

        Raises:
            KeyboardInterrupt: the user stopped it.
        """
        executor = ProcessExecutor(Path(), self._workers)
        try:
            for task, plan in self._plans.items():
                trained = [
                    cell for cell in plan.cells if (record := self._record(cell)) and record["status"] == "fitted"
                ]
                pairs = {
                    cell.seed for cell in plan.cells if cell.labels["activation"] == self._name and self._record(cell)
                }
                wanted = [cell for cell in trained if cell.seed in pairs]
                if wanted:
                    self._run(executor, task, wanted, plan.tests_of(wanted[0]))
        finally:
            executor.close()
        return [result for task in self._plans if (result := self._result(task)) is not None]

    def _result(self, task: str) -> TaskResult | None:
        score = self._score(task)
        validation, ended = self._scores(task, self._validation(task))
        if not any(ended.values()):
            return None
        looked = last_looks(validation, ended, self._rule)
        by_validation = self._compare(task, looked)
        scores, ended = self._scores(task, lambda record: _finite(metrics(record).get(score.name)))
        tested = last_looks(scores, ended, self._rule)
        compared = self._compare(task, tested)
        versus = []
        for other in self._against:
            look = min(tested.number[self._name], tested.number[other])
            one, seen = compared.get(other), by_validation.get(other)
            verdict = self._verdict(task, other, one, look)
            why = self._stop(task, other, looked, by_validation)
            interval = one is not None and one.interval is not None
            versus.append(
                Versus(
                    other=other,
                    word=str(verdict.word),
                    reason="by less than the margin" if verdict.below_margin else verdict.reason,
                    seeds=one.n if one else 0,
                    difference=one.difference if one else None,
                    half_width=one.half_width if one and interval else None,
                    validation=seen.difference if seen else None,
                    stop=f"look {look} of {len(self._rule.looks)}" + (f", {why}" if why else "") if look else "",
                )
            )
        failed = {
            str(cell.seed): str(record["error"])
            for cell in self._cells(task, self._name)
            if (record := self._record(cell)) and record["status"] == "failed"
        }
        by_seed = {name: {str(seed): value for seed, value in sorted(scores[name].items())} for name in scores}
        return TaskResult(task, score.label, score.unit, score.lower_is_better, tuple(versus), by_seed, failed)


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


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _diverged(record: Record) -> bool:
    return record["status"] == "failed" and NOT_FINITE in str(record["error"])


def require_room(ladder: Ladder, task: str, left: Callable[[], float], budget: float) -> None:
    """Refuse a budget that does not hold the first look of the cheapest task.

    Args:
        ladder: nothing of which has run, or some.
        task: the cheapest.
        left: seconds that are left for trainings.
        budget: of which that is a part.

    Raises:
        UserError: says how much would do.
    """
    ladder.pilot(task)
    seconds, needed = left(), ladder.first_look_seconds(task)
    if needed is not None and needed > seconds:
        raise UserError(
            f"--budget {duration(budget)} does not hold one step: the first look at {task} takes about {duration(needed)} "
            f"here, {duration(max(seconds, 0.0))} are left; give at least {duration(1.2 * (budget - seconds + needed))}, "
            "or fewer functions in --against"
        )
