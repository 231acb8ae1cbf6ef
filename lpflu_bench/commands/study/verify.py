"""Check every record: readable, its cell's own, with the study's scores, tested on as many samples."""

import argparse

from lpflu_bench.commands.study.session import Session, say, suggest


def execute(session: Session, args: argparse.Namespace) -> int:
    """Say what is wrong; 1 if anything is."""
    from lpflu_bench.studies.upkeep import problems

    wrong = list(problems(session.store, session.plan.cells, session.study.metrics))
    locks = [f"{path}: left by a dead process" for path in session.store.locks.leftovers()]
    found = [*wrong, *locks]
    for line in found:
        say(line)
    records = sum(session.store.record_path(cell.hash).exists() for cell in session.plan.cells)
    say(
        f"{records} records of {len(session.plan.cells)} cells: {len(found) or 'no'} problem{'' if len(found) == 1 else 's'}"
    )
    suggest(args, *(("rerun", "CELL") if wrong else ("clean",) if locks else ("report",)))
    return int(bool(found))
