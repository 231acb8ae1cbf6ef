"""Show what is done, running, failed and pending."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from lpflu_bench.commands.study.session import Session, say, suggest
from lpflu_bench.terminal import text_table

if TYPE_CHECKING:
    from lpflu_bench.records import Record
    from lpflu_bench.studies.plan import Cell

_STATES = ("finished", "running", "fitted", "partial", "failed", "interrupted", "pending")


def execute(session: Session, args: argparse.Namespace) -> int:
    """Print it."""
    from rich.console import Console

    from lpflu_bench.studies.progress import Durations, current_state
    from lpflu_bench.text import duration, setting_text

    store, study = session.store, session.study
    records = session.records()
    selection = session.selection(records)
    running = store.locks.running()
    started = store.started()
    states = {cell: _state(cell, records, running, started) for cell in selection.cells}
    console = Console()
    shown = [state for state in _STATES if state in ("finished", *states.values())]
    groups: dict[tuple[str, str], Counter[str]] = {}
    for cell, state in states.items():
        key = (str(cell.labels["task"]), setting_text(cell.labels["activation"]))
        groups.setdefault(key, Counter())[state] += 1
    lines = [(*key, *(str(counts[state] or "") for state in shown)) for key, counts in groups.items()]
    console.print(text_table(study.title, ("task", "function", *shown), lines, texts=2))
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
    text = ", ".join(f"{counts[state]} {state}" for state in shown)
    say(
        f"{len(states)} cells: {text}"
        + (f"; {selection.waiting} more once tuning is done" if selection.waiting else "")
    )
    expected = Durations(records.values()).expect(left)
    if left and expected is not None:
        at_once = max(counts["running"], 1)
        say(f"about {duration(expected / at_once)} left with {at_once} at once")
    for problem in store.set_aside.values():
        say(f"set aside: {problem}")
    if store.set_aside:
        say(f"{len(store.set_aside)} records are set aside; their cells count as not run")
    if orphaned_records := records.keys() - {cell.hash for cell in session.plan.cells}:
        say(
            f"{len(orphaned_records)} records in {store.results} belong to no cell of this plan (other settings or seeds)"
        )
    suggest(args, "run" if left or selection.waiting else "report")
    return 0


def _state(cell: "Cell", records: "dict[str, Record]", running: dict[str, Any], started: set[str]) -> str:
    status = records[cell.hash]["status"] if cell.hash in records else None
    if status == "finished":
        return "finished"
    if cell.hash in running:
        return "running"
    return status or ("interrupted" if cell.hash in started else "pending")
