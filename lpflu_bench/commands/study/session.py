"""A study as the command line gives it, its plan and its store."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpflu_bench.studies.grid import Cell, Plan
    from lpflu_bench.studies.study_file import Study
    from lpflu_bench.studies.tuning import Selection


class Session:
    """What an action works on.

    Args:
        args: the parsed command line.

    Raises:
        UserError: the study file, or an option that changes it, is wrong.
    """

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
        """The plan's tasks, in order."""
        return list(dict.fromkeys(str(cell.labels["task"]) for cell in self.plan.cells))

    def selection(self, records: dict[str, dict[str, Any]], cells: "tuple[Cell, ...] | None" = None) -> "Selection":
        """Return what there is to run, given the records so far; of the cells that ``--only`` leaves by default."""
        from lpflu_bench.studies.tuning import select_cells

        return select_cells(self.cells if cells is None else cells, self.study.tuning, records)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)
