"""A study as the command line gives it, its plan and its store."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.terminal import next_command

if TYPE_CHECKING:
    from lpflu_bench.records import Record
    from lpflu_bench.reports.analysis import Analysis
    from lpflu_bench.studies.cell import PlannedTest
    from lpflu_bench.studies.plan import Cell, Plan
    from lpflu_bench.studies.study import Study
    from lpflu_bench.studies.tuning import Selection

RESULTS, RUNS = Path("results"), Path("runs")
"""The folders of records and reports, and of checkpoints and logs, unless the command line names others."""


class Session:
    """What an action works on.

    Args:
        args: the parsed command line.

    Raises:
        UserError: the study file, or an option that changes it, is wrong.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        from lpflu_bench.studies.declared import sequential
        from lpflu_bench.studies.machine import data_roots
        from lpflu_bench.studies.overrides import apply_overrides
        from lpflu_bench.studies.plan import EMBEDDED, select
        from lpflu_bench.studies.plan_cache import load_plan
        from lpflu_bench.studies.store import Store
        from lpflu_bench.studies.study_file import find_study, load_study

        path = find_study(args.study)
        declared = sequential(load_study(path), args.results / path.stem, getattr(args, "max_seeds", None))
        self.study: Study = apply_overrides(declared, settings=args.set, only=args.only, seeds=args.seeds)
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

    @property
    def loggers(self) -> Any:
        """What ``trainer.logger`` is set to in the study's first cell: the trackers of all."""
        return (self.plan.config(self.cells[0]).get("trainer") or {}).get("logger")

    def tests_of(self, cell: "Cell") -> "tuple[PlannedTest, ...]":
        """Return the tests of a cell that ``--only`` leaves."""
        from lpflu_bench.text import setting_text

        def wanted(test: "PlannedTest") -> bool:
            only = self.study.only
            return all(
                setting_text(label) in only.get(name, (setting_text(label),)) for name, label in test.labels.items()
            )

        return tuple(test for test in self.plan.tests_of(cell) if wanted(test))

    def records(self) -> "dict[str, Record]":
        """Return the records in short; a finished one without all tests of the plan counts as trained only."""
        from lpflu_bench.studies.cell import is_finished

        records = self.store.records()
        for cell in self.plan.cells:
            record = records.get(cell.hash)
            if record and record["status"] == "finished" and not is_finished(record, self.tests_of(cell)):
                record["status"] = "fitted"
        return records

    def selection(self, records: "dict[str, Record]", cells: "tuple[Cell, ...] | None" = None) -> "Selection":
        """Return what there is to run, given the records so far; of the cells that ``--only`` leaves by default."""
        from lpflu_bench.studies.tuning import select_cells

        return select_cells(self.cells if cells is None else cells, self.study.tuning, records)

    def analysis(self) -> "Analysis":
        """Return the study judged as far as it is."""
        from lpflu_bench.reports.analysis import analyse
        from lpflu_bench.reports.report_input import report_parts

        records = self.store.records()
        selection = self.selection(records, self.plan.cells)
        spec, chosen, _ = report_parts(self.study, self.plan, selection, records, self.store.results)[-1]
        return analyse(spec, chosen)

    def reference_finished(self) -> bool:
        """Return whether there is anything to compare with."""
        from lpflu_bench.studies.plan import FINAL

        done = {cell for cell, record in self.records().items() if record["status"] == "finished"}
        runs = [
            cell for cell in self.cells if cell.stage == FINAL and cell.labels["activation"] == self.study.reference
        ]
        return any(cell.hash in done for cell in runs)

    def needed(self) -> set[str] | None:
        """Return the cells that the next looks of a sequential study need; None for a study with a fixed number of seeds.

        Those that tune are needed in any case. Until the reference has a result, the others are those of the first look.
        """
        from lpflu_bench.reports.runs import place_of
        from lpflu_bench.reports.sequential import wanted_seeds
        from lpflu_bench.studies.plan import TUNE

        looks = self.study.rule.looks
        if not looks:
            return None
        needed = {cell.hash for cell in self.cells if cell.stage == TUNE}
        final = [cell for cell in self.cells if cell.hash not in needed]
        if not self.reference_finished():
            return needed | {cell.hash for cell in final if cell.seed in self.study.seeds[: looks[0]]}
        analysis = self.analysis()
        wanted, axes = wanted_seeds(analysis), analysis.spec.axes
        for cell in final:
            for test in self.plan.tests_of(cell):
                place = place_of({**cell.labels, **test.labels}, axes)
                if cell.seed in wanted.get((place, str(cell.labels["activation"])), ()):
                    needed.add(cell.hash)
        return needed


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def suggest(args: argparse.Namespace, action: str, *words: str) -> None:
    """End an action's output with the next one of the same study, under the same options.

    Nothing is said if the action is one step of another command.
    """
    if args.suggest:
        say(next_command("study", action, args.study, *words, *_options(args)))


def _options(args: argparse.Namespace) -> Iterator[str]:
    """Yield what the command line said about the study and its folders."""
    for option, values in (("--set", args.set), ("--only", args.only), ("--data.root", args.data_root)):
        for value in values:
            yield from (option, value)
    for option, value, default in (
        ("--seeds", args.seeds, None),
        ("--results", args.results, RESULTS),
        ("--runs", args.runs, RUNS),
    ):
        if value != default:
            yield from (option, str(value))
