"""List what the runs have left behind, and delete it with --delete; records stay."""

import argparse

from lpflu_bench.commands.study.session import Session, say, suggest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what goes."""
    parser.add_argument("--checkpoints", action="store_true", help="also the checkpoints of finished cells")
    parser.add_argument("--delete", action="store_true", help="delete what is listed")


def execute(session: Session, args: argparse.Namespace) -> int:
    """List it, or delete it."""
    from lpflu_bench.studies.upkeep import leftovers, remove

    store = session.store
    found = leftovers(store, session.plan.cells, checkpoints=args.checkpoints)
    with store:
        gone = [leftover for leftover in found if not args.delete or remove(store, leftover)]
    for kind in dict.fromkeys(leftover.kind for leftover in gone):
        paths = [leftover for leftover in gone if leftover.kind == kind]
        size = sum(leftover.size for leftover in paths)
        say(f"{kind}: {len(paths)}, {size / 2**20:.1f} MiB")
        if not args.delete:
            for leftover in paths:
                say(f"  {leftover.path}")
    total = sum(leftover.size for leftover in gone) / 2**20
    say(f"{len(gone)} leftovers{' deleted' if args.delete else ''}, {total:.1f} MiB")
    again = ("clean", *(["--checkpoints"] if args.checkpoints else []), "--delete")
    suggest(args, *(again if gone and not args.delete else ("status",)))
    return 0
