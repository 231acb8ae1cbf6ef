"""Run cells again from scratch; their old records and checkpoints are put aside."""

import argparse

from lpflu_bench.commands.study import launch
from lpflu_bench.commands.study.session import Session, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which cells, and how they are run."""
    parser.add_argument("cell", nargs="+", help="a cell's hash, its first digits, or its name in quotes")
    launch.add_arguments(parser)


def execute(session: Session, args: argparse.Namespace) -> int:
    """Set them back and run them."""
    from lpflu_bench.studies.upkeep import find_cells, set_back

    chosen = find_cells(session.cells, args.cell)
    launch.check_data(session, args)
    for cell in chosen:
        set_back(session.store, cell)
        say(f"set back: {cell}; what it left is in {session.store.runs / 'replaced'}")
    return launch.run_cells(session, args, {cell.hash for cell in chosen})
