"""Run the cells that are not finished."""

import argparse
from typing import TYPE_CHECKING

from lpflu_bench.commands.study.session import Session, say, suggest
from lpflu_bench.errors import INTERRUPTED, UserError

if TYPE_CHECKING:
    from lpflu_bench.records import Record
    from lpflu_bench.studies.plan import Cell
    from lpflu_bench.studies.run import Summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how, where and how many cells are run."""
    from lpflu_bench.studies.executors import add_executor_arguments
    from lpflu_bench.studies.executors.base import positive_int

    parser.add_argument("--limit", type=positive_int, metavar="N", help="maximum number of runs to start")
    parser.add_argument("--retries", type=int, default=1, metavar="N", help="retries per crashed run (default: 1)")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failed cell")
    parser.add_argument(
        "--until",
        choices=["decided"],
        help="add seeds in steps for functions still undecided; repeated looks are accounted for (see --max-seeds)",
    )
    parser.add_argument(
        "--max-seeds", type=positive_int, metavar="N", help="with --until decided: at most N seeds for each function"
    )
    add_executor_arguments(parser)


def execute(session: Session, args: argparse.Namespace) -> int:
    """Run them, and say what is left."""
    from lpflu_bench.studies.declared import declare

    if (args.until is None) != (args.max_seeds is None) and not (args.until and session.study.rule.looks):
        raise UserError(
            "--until decided and --max-seeds N go together: the largest number of seeds is declared beforehand"
        )
    check_data(session, args)
    if not (args.set or args.only or args.seeds):
        declare(session.study, session.store.results)
    return run_cells(session, args)


def check_data(session: Session, args: argparse.Namespace) -> None:
    """Look whether the data's folders are there, before anything is written; a cluster's are its own business.

    Raises:
        UserError: names the task that has none.
    """
    from lpflu_bench.studies.machine import check_roots

    if not hasattr(args, "address"):
        check_roots(session.plan, session.cells, session.roots)


def run_cells(session: Session, args: argparse.Namespace, chosen: set[str] | None = None) -> int:
    """Run the cells that are not finished, or of those the chosen ones, and say what is left."""
    from lpflu_bench.studies.disk import check_disk
    from lpflu_bench.studies.executors import given_options, make_executor
    from lpflu_bench.studies.machine import for_this_machine, terminate_as_interrupt
    from lpflu_bench.studies.progress import Durations, StudyProgress
    from lpflu_bench.studies.run import StudyRun, Summary

    study, store = session.study, session.store
    options = given_options(args)
    records = session.records()
    selection = session.selection(records)
    needed = session.needed()
    if not _todo(selection.cells, records, needed) and not selection.waiting:
        say(f"{study.name}: all {len(selection.cells)} cells are finished" if needed is None else _decided(session))
        suggest(args, "report")
        return 0
    check_disk(store.runs, store.results, 1)
    if session.loggers:
        from lpflu_bench.training.trackers import build_tracker, tracker_specs

        for spec in tracker_specs(session.loggers):
            build_tracker(spec, "none yet")  # says what is not installed before a cell runs
    executor = make_executor(args.executor, options, store.runs / args.executor)
    done = sum(_finished(cell, records) for cell in selection.cells)
    total = len(selection.cells) + selection.waiting
    progress = StudyProgress(total, done, study.metrics, Durations(records.values()), store.run_dir)
    runner = StudyRun(
        store,
        executor,
        lambda cell: for_this_machine(session.plan.config(cell), session.roots),
        progress,
        retries=args.retries,
        fail_fast=args.fail_fast,
        limit=args.limit,
        before_start=lambda: check_disk(store.runs, store.results, min(executor.slots(), total)),
        tests_of=session.tests_of,
    )
    summary = Summary()
    try:
        with store, terminate_as_interrupt(), progress:
            tried: set[str] = set()
            while True:  # a study that tunes learns its final cells on the way
                todo = [cell for cell in _todo(selection.cells, records, needed) if cell.hash not in tried]
                todo = [cell for cell in todo if chosen is None or cell.hash in chosen]
                if not todo:
                    break
                tried |= {cell.hash for cell in todo}
                summary = runner.run(todo)
                if summary.interrupted or runner.stopped or summary.left:
                    break
                records = session.records()
                selection = session.selection(records)
                needed = session.needed()
    finally:
        executor.close()
    return _conclude(session, args, summary)


def _finished(cell: "Cell", records: "dict[str, Record]") -> bool:
    return cell.hash in records and records[cell.hash]["status"] == "finished"


def _todo(cells: "tuple[Cell, ...]", records: "dict[str, Record]", needed: set[str] | None) -> "list[Cell]":
    """Return the cells that are not finished; of a sequential study those that are needed for the next looks."""
    left = [cell for cell in cells if not _finished(cell, records)]
    return left if needed is None else [cell for cell in left if cell.hash in needed]


def _conclude(session: Session, args: argparse.Namespace, summary: "Summary") -> int:
    records = session.records()
    selection = session.selection(records)
    left = len(_todo(selection.cells, records, session.needed())) + selection.waiting
    for cell, error in summary.failed.items():
        say(f"failed: {cell}: {error}  (log: {session.store.run_dir(cell.hash) / 'log.txt'})")
    for cell, why in summary.partial.items():
        say(f"partial: {cell}: {why}; `study report --include partial` shows it")
    for cell, owner in summary.claimed_elsewhere.items():
        say(f"run elsewhere: {cell}: {owner or 'another process, finished meanwhile'}")
    say(f"{session.study.name}: {len(summary.finished)} cells finished now, {left} left")
    if session.study.rule.looks:
        say(_decided(session))
    if summary.interrupted:
        say("interrupted: re-run the same command to resume; runs in progress resume from their last checkpoint")
        suggest(args, "status")
        return INTERRUPTED
    if left:
        say("re-run the same command to resume")
    suggest(args, "status" if left else "report")
    return 1 if summary.failed else 0


def _decided(session: Session) -> str:
    """Return how far every function of a sequential study is, a line each."""
    from lpflu_bench.reports.runs import place_text
    from lpflu_bench.reports.sequential import progress

    if not session.reference_finished():
        return f"nothing is decided: no run of {session.study.reference}, the reference, has finished"
    analysis = session.analysis()
    lines = [f"{place_text(analysis.spec, item.place)}, {item.activation}: {item.state}" for item in progress(analysis)]
    return "\n".join(lines)
