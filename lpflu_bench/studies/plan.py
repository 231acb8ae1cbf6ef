"""A study's plan: its cells, one run each, known by the hash of its resolved configuration."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.scores import Score
from lpflu_bench.studies.cell import PlannedTest
from lpflu_bench.studies.keys import Flat, nest
from lpflu_bench.text import nearest, setting_text

TUNE, FINAL = "tune", "final"
SEED_KEY = ("seed_everything",)
ROOT_KEY = ("data", "init_args", "root")
EMBEDDED = "embedded"


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        hash: of its resolved configuration; its name in the store.
        labels: what it is called in tables: study, task, network, activation, the axes, seed.
        template: which resolved configuration of the plan is its.
        seed: its seed.
        stage: ``final``, or ``tune`` for the first stage of a study that tunes.
        choice: label of the tuned axis' value; None in a study that does not tune.
    """

    hash: str
    labels: Mapping[str, Any] = field(hash=False)
    template: int
    seed: int
    stage: str = FINAL
    choice: Any = None

    @property
    def group(self) -> str:
        """What is tuned separately: everything but the seed and the tuned value."""
        kept = {name: value for name, value in self.labels.items() if name not in ("seed", "stage")}
        return json.dumps(kept, sort_keys=True, default=str)

    def __str__(self) -> str:
        parts = [setting_text(v) for k, v in self.labels.items() if k not in ("study", "seed", "stage")]
        if self.stage == TUNE:
            parts.append(f"tuning {setting_text(self.choice)}")
        return f"{' '.join(parts)} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All cells of a study, validated; for a study that tunes, every candidate of the final stage too.

    Attributes:
        cells: one run each.
        templates: their resolved configurations, but for the seed.
        scores: what the study reports, in its order; what a task does not report is left out there.
        tests: of each template: what its cells are tested under.
    """

    cells: tuple[Cell, ...]
    templates: tuple[Flat, ...]
    scores: tuple[Score, ...]
    tests: tuple[tuple[PlannedTest, ...], ...]

    def tests_of(self, cell: Cell) -> tuple[PlannedTest, ...]:
        """Return what a cell is tested under."""
        return self.tests[cell.template]

    def config(self, cell: Cell) -> dict[str, Any]:
        """Return a cell's resolved configuration."""
        return nest({**self.templates[cell.template], SEED_KEY: cell.seed})


def select(plan: Plan, only: Mapping[str, Iterable[str]]) -> tuple[Cell, ...]:
    """Return the cells whose labels are among the wanted ones; labels of tests alone leave out no cell.

    Raises:
        UserError: no cell has one of the wanted labels, or none is left.
    """
    tests = {name for group in plan.tests for test in group for name in test.labels}
    only = {name: wanted for name, wanted in only.items() if name not in tests}
    for name, wanted in only.items():
        known = {setting_text(cell.labels.get(name)) for cell in plan.cells}
        for label in wanted:
            if label not in known:
                raise UserError(f"--only {name}={label}: the study has no such {name}{nearest(label, known)}")
    kept = tuple(
        cell
        for cell in plan.cells
        if all(setting_text(cell.labels.get(name)) in set(wanted) for name, wanted in only.items())
    )
    if not kept:
        asked = " ".join(f"--only {name}={','.join(wanted)}" for name, wanted in only.items())
        raise UserError(f"{asked}: the study has no such cell")
    return kept
