"""What a person sees of a running study: one live view on a terminal, plain lines elsewhere."""

import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lpflu_bench.records import Record, metrics
from lpflu_bench.scores import main_score, recorded_scores
from lpflu_bench.studies.cell import Outcome
from lpflu_bench.studies.plan import Cell
from lpflu_bench.text import duration


def metric_text(record: Record, names: Sequence[str]) -> str:
    """Return the main one of the named scores that a record has."""
    values = metrics(record)
    reported = [score for name, score in recorded_scores(record).items() if name in names and name in values]
    if not reported:
        return ""
    main = main_score(reported)
    return f"{main.label} {values[main.name]:.2f} {main.unit}".rstrip()


def current_state(run_dir: Path) -> str:
    """Return the last epoch's number and scores of a run that is being trained, as its logger wrote them."""
    logs = sorted(run_dir.glob("fit*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    if not logs:
        return ""
    last: dict[str, str] = {}
    try:
        with logs[-1].open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                last.update({key: value for key, value in row.items() if key and value})
    except OSError:
        return ""
    shown = [f"{name} {float(value):.3g}" for name, value in last.items() if name.startswith(("val_", "train_"))]
    return ", ".join([f"epoch {int(float(last['epoch'])) + 1}", *shown[:2]]) if "epoch" in last else ""


class Durations:
    """How long cells take: the mean of those that are finished, of the same network and task where there are some."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._seconds: dict[tuple[Any, Any], list[float]] = {}
        for record in records:
            if record["status"] == "finished" and record.get("attempts"):
                last = record["attempts"][-1]
                start, end = (datetime.fromisoformat(last[key]) for key in ("started_at", "finished_at"))
                self.add(record.get("cell", {}), (end - start).total_seconds())

    def add(self, labels: Mapping[str, Any], seconds: float) -> None:
        """Note one more."""
        self._seconds.setdefault((labels.get("task"), labels.get("network")), []).append(seconds)

    def expect(self, cells: Iterable[Cell]) -> float | None:
        """Return the seconds that cells will take one after another; None if nothing is known."""
        if not self._seconds:
            return None
        means = {key: fmean(values) for key, values in self._seconds.items()}
        overall = fmean(means.values())
        return sum(means.get((cell.labels["task"], cell.labels["network"]), overall) for cell in cells)


class StudyProgress:
    """Follows a study run. A context manager.

    Args:
        total: cells of the study.
        done: finished before.
        metrics: names of the reported scores.
        durations: of earlier cells.
        run_dir: gives a cell's run folder.
        console: where to print; the terminal by default.
    """

    def __init__(
        self,
        total: int,
        done: int,
        metrics: Sequence[str],
        durations: Durations,
        run_dir: Callable[[str], Path],
        console: Console | None = None,
    ) -> None:
        self.console = console or Console()
        self._total, self._done, self._failed = total, done, 0
        self._metrics, self._durations, self._run_dir = metrics, durations, run_dir
        self._running: dict[Cell, float] = {}
        self._begin = time.monotonic()
        self._here = 0
        self._left = ""
        self._live = (
            Live(console=self.console, refresh_per_second=2, transient=True) if self.console.is_terminal else None
        )

    def __enter__(self) -> "StudyProgress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def started(self, cell: Cell) -> None:
        """Show a cell as running."""
        self._running[cell] = time.monotonic()
        if not self._live:
            self._line(f"started   {cell}")

    def ended(self, cell: Cell, outcome: Outcome, state: str) -> None:
        """Print how a cell ended."""
        waited = time.monotonic() - self._running.pop(cell, time.monotonic())
        seconds = outcome.seconds or waited  # of the run alone, where it is known: not in a queue
        if state == "finished":
            self._done += 1
            self._here += 1
            self._durations.add(cell.labels, seconds)
            said = metric_text(outcome.record, self._metrics) if outcome.record else ""
        else:
            self._failed += state == "failed"
            said = {"retry": "again: ", "lost": "lost, again: "}.get(state, "") + (outcome.error or "")
        self._line(f"{state:<9} {cell}  {duration(seconds)}  {said}")

    def tick(self, queued: Sequence[Cell], slots: int) -> None:
        """Estimate the remaining time; refresh the view."""
        expected = self._durations.expect([*queued, *self._running])
        if expected is not None:
            spent = sum(time.monotonic() - start for start in self._running.values())
            left = (expected - spent) / max(slots, 1)
            self._left = f"about {duration(left)} left" if left >= 1 else ""
        if self._live:
            self._live.update(self._view())

    def _line(self, text: str) -> None:
        left = f"  ({self._left})" if self._left and not self._live else ""
        self.console.print(f"[{self._done}/{self._total}] {text}{left}", markup=False, highlight=False, soft_wrap=True)

    def _view(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for cell, start in self._running.items():
            table.add_row(
                Text("running", style="cyan"),
                str(cell),
                str(timedelta(seconds=int(time.monotonic() - start))),
                current_state(self._run_dir(cell.hash)),
            )
        hours = (time.monotonic() - self._begin) / 3600
        rate = f"{self._here / hours:.1f} cells/h" if self._here else ""
        failed = f"{self._failed} failed" if self._failed else ""
        parts = [f"{self._done} of {self._total} cells", failed, rate, self._left]
        return Group(table, ProgressBar(self._total, self._done, width=40), Text("   ".join(p for p in parts if p)))
