"""Run, watch and report a study: a grid of runs from one file.

lpflu-bench study plan   table1                        # what it is made of; validates every cell
lpflu-bench study run    table1 --data.root DIR        # run what is not finished; re-run the same command to resume
lpflu-bench study status table1                        # done, running, failed (why), pending, time left
lpflu-bench study report table1                        # CSV, Markdown, LaTeX, figures, verdicts in results/table1/
"""

import argparse
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.errors import UserError

if TYPE_CHECKING:
    from lpflu_bench.studies.grid import Cell, Plan
    from lpflu_bench.studies.study_file import Study
    from lpflu_bench.studies.tuning import Selection

EXECUTORS = ("process", "local", "ray")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("study", help="a study file, or the name of one in configs/studies")
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for every cell")
    common.add_argument("--only", action="append", default=[], metavar="AXIS=A,B", help="only these values of an axis")
    common.add_argument("--seeds", metavar="0,1,2", help="these seeds instead of the file's; 0-4 is a range")
    common.add_argument(
        "--data.root",
        dest="data_root",
        action="append",
        default=[],
        metavar="[TASK=]DIR",
        help="dataset root directory; `embedded` is the demo set",
    )
    common.add_argument("--results", type=Path, default=Path("results"), help="folder of records and reports")
    common.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and logs")
    actions.add_parser("plan", parents=[common], help="validate every cell and say what the study is made of")
    actions.add_parser("status", parents=[common], help="show what is done, running, failed and pending")
    actions.add_parser("report", parents=[common], help="write tables, figures and the page")
    run = actions.add_parser("run", parents=[common], help="run the cells that are not finished")
    run.add_argument("--executor", choices=EXECUTORS, default="process", help="where cells run (default: %(default)s)")
    run.add_argument(
        "--workers", type=_positive, help="number of parallel runs (process: 1 by default; ray: what fits)"
    )
    run.add_argument("--limit", type=_positive, help="maximum number of runs to start")
    run.add_argument("--retries", type=int, default=1, help="retries per crashed or timed-out run (default: 1)")
    run.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="TIME",
        help="time limit per run (e.g. 90m, 12h)",
    )
    run.add_argument("--fail-fast", action="store_true", help="stop at the first failed cell")
    run.add_argument("--address", help="ray: of a running cluster; without it Ray starts on this machine")
    run.add_argument("--cpus-per-cell", type=float, default=1, help="ray: processor threads of a cell (default: 1)")
    run.add_argument("--gpus-per-cell", type=float, default=0, help="ray: GPUs of a cell, such as 0.25 (default: 0)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value


def _seconds(text: str) -> float:
    factor = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    value = float(text[:-1]) * factor if factor else float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


class _Session:
    """A study as the command line gives it, its plan and its store."""

    def __init__(self, args: argparse.Namespace) -> None:
        from lpflu_bench.studies.grid import EMBEDDED, load_plan, select
        from lpflu_bench.studies.machine import data_roots
        from lpflu_bench.studies.store import Store
        from lpflu_bench.studies.study_file import apply_overrides, find_study, load_study

        path = find_study(args.study)
        self.study: Study = apply_overrides(load_study(path), settings=args.set, only=args.only, seeds=args.seeds)
        self.store: Store = Store(self.study.name, args.results, args.runs)
        cache = self.store.runs / "plan.json"
        self.plan: Plan = load_plan(self.study, cache)
        self.roots = data_roots(args.data_root, self.tasks)
        if embedded := frozenset(task for task, root in self.roots.items() if root == EMBEDDED):
            self.plan = load_plan(self.study, cache, embedded)
        self.cells = select(self.plan, self.study.only)

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(str(cell.labels["task"]) for cell in self.plan.cells))

    def selection(self, records: dict[str, dict[str, Any]]) -> "Selection":
        from lpflu_bench.studies.tuning import select_cells

        return select_cells(self.cells, self.study.tuning, records)


def _say(text: str) -> None:
    print(text, flush=True)


# --- plan ------------------------------------------------------------------------------------------------------------


def _plan(session: _Session) -> int:
    from lpflu_bench.studies.grid import TUNE
    from lpflu_bench.text import setting_text

    study, cells = session.study, session.cells
    _say(f"{study.name}: {study.title}")
    tuning = [cell for cell in cells if cell.stage == TUNE]
    final = {(cell.group, cell.seed) for cell in cells if cell.stage != TUNE}
    first = f"{len(tuning)} to choose {study.tuning.axis.name}, then " if study.tuning else ""
    _say(f"{len(tuning) + len(final)} cells: {first}{len(final)} runs; every configuration is valid")
    names = dict.fromkeys(name for cell in cells for name in cell.labels if name not in ("study", "stage"))
    for name in names:
        values = dict.fromkeys(setting_text(cell.labels[name]) for cell in cells if name in cell.labels)
        _say(f"  {name} ({len(values)}): {', '.join(values)}")
    if study.tuning:
        _say(f"  tuned: {study.tuning.axis.name}: {', '.join(setting_text(v.label) for v in study.tuning.axis.values)}")
    _say(f"  metrics: {', '.join(f'{m.name} ({m.direction} is better)' for m in study.metrics)}")
    _say(
        f"  reference: {study.reference}"
        + (f"; compared with results/published/{study.published}" if study.published else "")
    )
    return 0


# --- run -------------------------------------------------------------------------------------------------------------


def _run(session: _Session, args: argparse.Namespace) -> int:
    from lpflu_bench.studies.executors import make_executor
    from lpflu_bench.studies.machine import check_roots, for_this_machine, terminate_as_interrupt
    from lpflu_bench.studies.progress import Durations, StudyProgress
    from lpflu_bench.studies.run import StudyRun, Summary

    study, store = session.study, session.store
    if args.address is None:
        check_roots(session.plan, session.cells, session.roots)
    records = store.summaries()
    selection = session.selection(records)
    if not _todo(selection.cells, records) and not selection.waiting:
        _say(f"{study.name}: all {len(selection.cells)} cells are finished; `lpflu-bench study report {args.study}`")
        return 0
    executor = make_executor(
        args.executor,
        workers=args.workers,
        time_limit=args.time_limit,
        ray_options={"address": args.address, "num_cpus": args.cpus_per_cell, "num_gpus": args.gpus_per_cell},
    )
    done = sum(records.get(cell.hash, {}).get("status") == "finished" for cell in selection.cells)
    total = len(selection.cells) + selection.waiting
    progress = StudyProgress(total, done, [m.name for m in study.metrics], Durations(records.values()), store.run_dir)
    runner = StudyRun(
        store,
        executor,
        lambda cell: for_this_machine(session.plan.config(cell), session.roots),
        progress,
        retries=args.retries,
        fail_fast=args.fail_fast,
        limit=args.limit,
    )
    summary = Summary()
    try:
        with store, terminate_as_interrupt(), progress:
            tried: set[str] = set()
            while True:  # a study that tunes learns its final cells on the way
                todo = [cell for cell in _todo(selection.cells, records) if cell.hash not in tried]
                if not todo:
                    break
                tried |= {cell.hash for cell in todo}
                summary = runner.run(todo)
                if summary.interrupted or runner.stopped or summary.left:
                    break
                records = store.summaries()
                selection = session.selection(records)
    finally:
        executor.close()
    return _conclude(session, args, summary)


def _todo(cells: "tuple[Cell, ...]", records: dict[str, dict[str, Any]]) -> "list[Cell]":
    return [cell for cell in cells if records.get(cell.hash, {}).get("status") != "finished"]


def _conclude(session: _Session, args: argparse.Namespace, summary: Any) -> int:
    from lpflu_bench.errors import INTERRUPTED

    records = session.store.summaries()
    selection = session.selection(records)
    left = len(_todo(selection.cells, records)) + selection.waiting
    for cell, error in summary.failed.items():
        _say(f"failed: {cell}: {error}  (log: {session.store.run_dir(cell.hash) / 'log.txt'})")
    for cell, owner in summary.claimed_elsewhere.items():
        _say(f"run elsewhere: {cell}: {owner or 'another process, finished meanwhile'}")
    _say(f"{session.study.name}: {len(summary.finished)} cells finished now, {left} left")
    if summary.interrupted:
        _say("interrupted: re-run the same command to resume; runs in progress resume from their last checkpoint")
        return INTERRUPTED
    if left:
        _say(f"re-run the same command to resume; `lpflu-bench study status {args.study}` shows what is left")
    else:
        _say(f"next: lpflu-bench study report {args.study}")
    return 1 if summary.failed else 0


# --- status ----------------------------------------------------------------------------------------------------------


def _status(session: _Session) -> int:
    from rich.console import Console
    from rich.table import Table

    from lpflu_bench.studies.progress import Durations, current_state
    from lpflu_bench.text import duration, setting_text

    store, study = session.store, session.study
    records = store.summaries()
    selection = session.selection(records)
    running = store.running()
    started = store.started()
    states = {cell: _state(cell, records, running, started) for cell in selection.cells}
    console = Console()
    table = Table(title=study.title)
    for name in ("task", "activation", "finished", "running", "failed", "interrupted", "pending"):
        table.add_column(name, justify="left" if name in ("task", "activation") else "right")
    groups: dict[tuple[str, str], Counter[str]] = {}
    for cell, state in states.items():
        key = (str(cell.labels["task"]), setting_text(cell.labels["activation"]))
        groups.setdefault(key, Counter())[state] += 1
    for (task, activation), counts in groups.items():
        numbers = [str(counts[state] or "") for state in ("finished", "running", "failed", "interrupted", "pending")]
        table.add_row(task, activation, *numbers)
    console.print(table)
    for cell, state in states.items():
        if state == "running":
            now = current_state(store.run_dir(cell.hash))
            console.print(f"running: {cell}: {running[cell.hash]}" + (f", {now}" if now else ""), highlight=False)
        elif state == "failed":
            console.print(f"failed: {cell}: {records[cell.hash]['error']}", highlight=False, markup=False)
    for group in selection.failed_groups:
        console.print(f"nothing to choose from, every tuning run failed: {group}", highlight=False, markup=False)
    counts = Counter(states.values())
    left = [cell for cell, state in states.items() if state != "finished"]
    text = ", ".join(
        f"{counts[state]} {state}" for state in ("finished", "running", "failed", "interrupted", "pending")
    )
    _say(
        f"{len(states)} cells: {text}"
        + (f"; {selection.waiting} more once tuning is done" if selection.waiting else "")
    )
    expected = Durations(records.values()).expect(left)
    if left and expected is not None:
        at_once = max(counts["running"], 1)
        _say(f"about {duration(expected / at_once)} left with {at_once} at once")
    if orphaned_records := records.keys() - {cell.hash for cell in session.plan.cells}:
        _say(
            f"{len(orphaned_records)} records in {store.results} belong to no cell of this plan (other settings or seeds)"
        )
    return 0


def _state(cell: "Cell", records: dict[str, dict[str, Any]], running: dict[str, Any], started: set[str]) -> str:
    status = records.get(cell.hash, {}).get("status")
    if status == "finished":
        return "finished"
    if cell.hash in running:
        return "running"
    return str(status) if status else "interrupted" if cell.hash in started else "pending"


# --- report ----------------------------------------------------------------------------------------------------------


def _report(session: _Session) -> int:
    from lpflu_bench.reports.report import write_report
    from lpflu_bench.reports.report_input import report_parts

    records = session.store.records()
    selection = session.selection(records)
    for spec, chosen, folder in report_parts(session.study, session.cells, selection, records, session.store.results):
        write_report(spec, chosen, folder)
        _say(f"{len(chosen)} of {len(spec.planned)} records; {folder / 'index.html'}")
    return 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turn the garbage collector off: of thousands of records all stay, and it would walk them again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def run(args: argparse.Namespace) -> int:
    """Do what ``args.action`` says."""
    if args.action == "run":
        return _run(_Session(args), args)
    with _uncollected():
        session = _Session(args)
        if args.action == "plan":
            return _plan(session)
        if args.action == "status":
            return _status(session)
        if args.action == "report":
            return _report(session)
    raise UserError(f"unknown action {args.action}")
