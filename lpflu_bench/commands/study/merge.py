"""Take over the records that other machines have made of this study."""

import argparse
from pathlib import Path

from lpflu_bench.commands.study.session import Session, say, suggest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add from where."""
    parser.add_argument("folder", nargs="+", type=Path, help="another machine's results/STUDY, or its results")


def execute(session: Session, args: argparse.Namespace) -> int:
    """Merge them one after another; 1 if there were conflicts or unreadable records."""
    from lpflu_bench.studies.upkeep import merge

    failed = False
    with session.store:
        for folder in args.folder:
            merged = merge(session.store, folder)
            for line in (*merged.conflicts, *merged.unreadable):
                say(f"not taken: {line}")
            failed = failed or bool(merged.conflicts or merged.unreadable)
            say(f"{folder}: {len(merged.taken)} records taken, {merged.same} were here")
    if failed:
        say("of two records ours stays; a new run decides")
    suggest(args, *(("rerun", "CELL") if failed else ("status",)))
    return int(failed)
