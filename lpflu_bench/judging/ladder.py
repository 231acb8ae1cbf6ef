"""Does it help? Trainings on paired seeds, the cheap ones first, more only while something is undecided."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from lpflu_bench.errors import UserError
from lpflu_bench.inference.sequential import last_looks
from lpflu_bench.judging.paired_runs import PairedRuns
from lpflu_bench.studies.executors.processes import ProcessExecutor
from lpflu_bench.studies.plan import Cell
from lpflu_bench.text import duration

_SHORTEST_LIMIT = 60.0


@dataclass(frozen=True)
class Rung:
    """One task's next look: the runs that are missing for it."""

    task: str
    look: int
    cells: tuple[Cell, ...]


class Ladder:
    """Trains, by the validation scores alone, until everything is decided or the time is up.

    Args:
        runs: what may be trained, and what is there.
    """

    def __init__(self, runs: PairedRuns) -> None:
        self._runs = runs
        self._tried: set[str] = set()
        self.stopped = ""
        """Why nothing more was trained."""

    def climb(self, seconds: float) -> None:
        """Train until all is decided or ``seconds`` have passed.

        Raises:
            KeyboardInterrupt: the user stopped it; what ran is resumed next time.
            UserError: the disk is full.
        """
        end = time.monotonic() + seconds
        executor = self._runs.executor(max(seconds, _SHORTEST_LIMIT))
        try:
            while True:
                rungs = [rung for task in self._runs.plans if (rung := self._next(task)) is not None]
                if not rungs:
                    self.stopped = "Stopped: nothing is left to decide, or no more seeds could decide it."
                    return
                order = list(self._runs.plans)
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
        values, ended = self._runs.scores(task, self._runs.validation(task))
        looked = last_looks(values, ended, self._runs.rule)
        compared = self._runs.compare(task, looked)
        undecided = [other for other in self._runs.against if self._runs.stop(task, other, looked, compared) is None]
        if not undecided:
            return None
        look = min(looked.number[name] for name in (self._runs.name, *undecided))
        seeds = self._runs.rule.looks[look]
        wanted = [cell for name in (self._runs.name, *undecided) for cell in self._runs.cells(task, name)[:seeds]]
        missing = [cell for cell in wanted if cell.seed not in values[str(cell.labels["activation"])]]
        cells = tuple(sorted((cell for cell in missing if cell.hash not in self._tried), key=lambda cell: cell.seed))
        return Rung(task, look + 1, cells) if cells else None

    def _fits(self, rung: Rung, seconds: float) -> bool:
        each = self._runs.seconds_of(rung.task)
        if each is None:  # the runs of one seed will tell
            return seconds > 0
        return each * math.ceil(len(rung.cells) / self._runs.workers) <= seconds

    def first_look_seconds(self, task: str) -> float | None:
        """Return how long a task's first look takes from here on; None if no run of it is known."""
        rung, each = self._next(task), self._runs.seconds_of(task)
        if each is None:
            return None
        return 0.0 if rung is None or rung.look > 1 else each * math.ceil(len(rung.cells) / self._runs.workers)

    def pilot(self, task: str, *, again: bool = False) -> bool:
        """Train one run of a task, of a function that is compared with, to know how long it takes.

        Args:
            task: whose.
            again: also where a run is known already: the machine may have been busy then.

        Returns:
            Whether one was trained.
        """
        rung = self._next(task)
        if rung is None or not (again or self._runs.seconds_of(task) is None):
            return False
        others = [cell for cell in rung.cells if cell.labels["activation"] != self._runs.name]
        executor = self._runs.executor()  # as many threads for it as for all that follow
        try:
            self._runs.run(executor, task, (others or list(rung.cells))[:1], ())
        finally:
            executor.close()
        return True

    def _train(self, executor: ProcessExecutor, rung: Rung) -> None:
        cells = rung.cells
        if self._runs.seconds_of(rung.task) is None:
            cells = tuple(cell for cell in cells if cell.seed == cells[0].seed)
        self._tried |= {cell.hash for cell in cells}
        self._runs.say(f"{rung.task}, look {rung.look}: {len(cells)} trainings")
        self._runs.run(executor, rung.task, cells, ())


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
    trained = ladder.pilot(task)
    seconds, needed = left(), ladder.first_look_seconds(task)
    if needed is not None and needed > seconds and not trained and ladder.pilot(task, again=True):
        seconds, needed = left(), ladder.first_look_seconds(task)
    if needed is not None and needed > seconds:
        raise UserError(
            f"--budget {duration(budget)} does not hold one step: the first look at {task} takes about {duration(needed)} "
            f"here, {duration(max(seconds, 0.0))} are left; give at least {duration(1.2 * (budget - seconds + needed))}, "
            "or fewer functions in --against"
        )
