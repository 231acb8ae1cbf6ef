"""Write tables, figures and the page."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lpflu_bench.commands.report import add_include
from lpflu_bench.commands.study.session import Session, say, suggest
from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command

if TYPE_CHECKING:
    from rich.progress import Progress

    from lpflu_bench.outcomes import Outcomes
    from lpflu_bench.records import Record, Weights
    from lpflu_bench.reports.images import Load
    from lpflu_bench.reports.spec import ReportSpec
    from lpflu_bench.studies.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what enters the tables."""
    add_include(parser)


def execute(session: Session, args: argparse.Namespace) -> int:
    """Write them and name the page."""
    from rich.console import Console
    from rich.progress import Progress

    from lpflu_bench.reports.report import write_report
    from lpflu_bench.reports.report_input import report_parts
    from lpflu_bench.studies.declared import changes
    from lpflu_bench.studies.upkeep import take_deployed

    study, store, plan = session.study, session.store, session.plan
    if taken := take_deployed(store, plan.cells):
        say(f"{len(taken)} runs were deployed: what that left of them is in their records now")
    records = store.records()
    for problem in store.set_aside.values():
        say(f"set aside: {problem}")
    selection = session.selection(records, plan.cells)
    narrowed = _narrowed(args) or changes(study, store.results)
    folder = store.results / "views" / _view(args) if _changes(args) else store.results
    parts = report_parts(study, plan, selection, records, folder, narrowed, include_partial=args.include == "partial")
    if records and not any(chosen for _, chosen, _ in parts):
        raise UserError(
            f"none of the {len(records)} records in {store.results} belongs to this plan (other settings, or made by other "
            "sources): nothing was written; run the study again, or check out the version that made them"
        )

    def curve(record: "Record") -> Sequence[Mapping[str, float]]:
        """Return a run's whole training curve; the records above have its last point."""
        whole = store.record(record["trained"]["config_hash"])
        return whole["trained"]["curve"] if whole else ()

    for spec, chosen, place in parts:
        kinds = {test["outcomes"]["kind"] for record in chosen for test in record["tested"] if test["outcomes"]}
        quick = "detection" not in kinds  # mAP of 400 resamples: a minute for ten runs of 5,000 images
        with Progress(console=Console(stderr=True), transient=True, disable=quick) as bar:
            outcomes = None if spec.name.endswith("-tuning") else _loader(store, spec, chosen, bar)
            write_report(spec, chosen, place, outcomes, curve)
        say(f"{len(chosen)} of {len(spec.planned)} records; {place / 'index.html'}")
    if any(len(chosen) < len(spec.planned) for spec, chosen, _ in parts):
        suggest(args, "run")
    elif (store.runs / "cells").is_dir() and not any(record.get("deployed") for record in records.values()):
        if args.suggest:
            say(next_command("deploy", store.runs / "cells"))
    else:
        suggest(args, "verify")
    return 0


def _loader(store: "Store", spec: "ReportSpec", records: "Sequence[Record]", bar: "Progress") -> "Load":
    """Return what loads the outcomes of a record's images, once for each of its scores, and moves a bar on."""
    from lpflu_bench.outcomes import load_outcomes

    kept = [(r, t) for r in records for t in r["tested"] if t["outcomes"]]
    names = [score["name"] for record, _ in kept for score in record["scores"]]
    task = bar.add_task("scores on resampled images", total=sum(name in spec.metrics for name in names))

    def load(record: "Record", weights: "Weights") -> "Outcomes | None":
        test = next((test for test in record["tested"] if test["weights"] == weights), None)
        if test is None or test["outcomes"] is None:
            return None
        bar.advance(task)
        return load_outcomes(store.record_path(record["trained"]["config_hash"]), test)

    return load


def _changes(args: argparse.Namespace) -> list[str]:
    only = [f"only {text}" for text in args.only]
    changed = [f"with {text}" for text in args.set]
    included = [f"with {args.include} runs"] if args.include else []
    return [*only, *changed, *([f"seeds {args.seeds}"] if args.seeds else []), *included]


def _narrowed(args: argparse.Namespace) -> str:
    """Return what the command line leaves of the study or changes in it, in a sentence; empty if nothing."""
    changes = _changes(args)
    if not changes:
        return ""
    only = args.only and not (args.set or args.seeds or args.include)
    judged = " Verdicts are those of the whole study." if only else ""
    return f"Not the study as declared: {', '.join(changes)}.{judged}"


def _view(args: argparse.Namespace) -> Path:
    """Return the folder of a narrowed report, so that it never takes the place of the whole one."""
    return Path(re.sub(r"[^A-Za-z0-9.,_-]+", "-", "+".join(_changes(args))).strip("-"))
