"""The first stage of a study that tunes: what is chosen for each function, from the records of the tuning cells."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lpflu_bench.records import Record
from lpflu_bench.scores import Score, recorded_scores
from lpflu_bench.studies.plan import FINAL, TUNE, Cell
from lpflu_bench.studies.study import Tuning
from lpflu_bench.text import setting_text


@dataclass(frozen=True)
class Selection:
    """What there is to run, as far as it is known.

    Attributes:
        cells: the tuning cells, then the final cells of every group that has its choice.
        choices: group -> the chosen value's label and its mean metric.
        metric: what decided; None while nothing is decided.
        waiting: final cells whose choice is still open.
        failed_groups: groups in which every tuning run failed.
    """

    cells: tuple[Cell, ...]
    choices: Mapping[str, tuple[Any, float]]
    metric: Score | None = None
    waiting: int = 0
    failed_groups: tuple[str, ...] = ()


def validation_scores(record: Record) -> dict[str, float]:
    """Return the scores of a trained run on its validation set after the last epoch; none of a failed run.

    Nothing is chosen on the test set: a study that tunes holds out a part of the training set (``data.val_fraction``).
    """
    curve = record["trained"]["curve"]
    last = curve[-1] if record["status"] in ("finished", "fitted") and curve else {}
    return {name.removeprefix("val_"): float(value) for name, value in last.items() if name.startswith("val_")}


def select_cells(cells: Sequence[Cell], tuning: Tuning | None, records: Mapping[str, Record]) -> Selection:
    """Choose for each group (a function at one setting) the value with the best mean validation score over the seeds.

    A value counts if all of its runs are finished; one with a failed run (it diverged, say) is out of the running.
    Nothing is chosen before every run of the group has ended. At equal means the first value wins.

    Args:
        cells: of the plan, every candidate of the final stage among them.
        tuning: how it is tuned; None for a study that does not tune.
        records: of the store, by cell.
    """
    if tuning is None:
        return Selection(tuple(cells), {})
    groups: dict[str, dict[Any, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        if cell.stage == TUNE:
            groups[cell.group][cell.choice].append(cell)
    metric: Score | None = None
    choices: dict[str, tuple[Any, float]] = {}
    failed_groups = []
    for group, values in groups.items():
        runs_of_group = [cell.hash for runs in values.values() for cell in runs]
        if not all(cell in records and records[cell]["status"] in ("finished", "failed") for cell in runs_of_group):
            continue
        means = {}
        for choice, runs in values.items():
            scores = [validation_scores(records[cell.hash]).get(tuning.metric, math.nan) for cell in runs]
            if all(math.isfinite(score) for score in scores):
                means[choice] = fmean(scores)
                metric = recorded_scores(records[runs[0].hash])[tuning.metric]
        if means and metric is not None:
            better = min if metric.lower_is_better else max
            best = better(means, key=lambda choice: means[choice])
            choices[group] = (best, means[best])
        else:
            failed_groups.append(group)
    kept = [c for c in cells if c.stage == TUNE]
    waiting = set()
    for cell in cells:
        if cell.stage == FINAL and cell.group in choices:
            if choices[cell.group][0] == cell.choice:
                kept.append(cell)
        elif cell.stage == FINAL and cell.group not in failed_groups:
            waiting.add((cell.group, cell.seed))
    return Selection(tuple(kept), choices, metric, len(waiting), tuple(failed_groups))


def describe_choices(selection: Selection, cells: Sequence[Cell], tuning: Tuning) -> str:
    """Return in a sentence what was chosen for which function and from how many runs."""
    names = {cell.group: " ".join(setting_text(v) for v in _own_labels(cell, cells)) for cell in cells}
    runs = sum(cell.stage == TUNE for cell in cells)
    label = selection.metric.label if selection.metric else tuning.metric
    chosen = ", ".join(
        f"{names[group]}: {setting_text(choice)} ({label} {mean:.2f})"
        for group, (choice, mean) in selection.choices.items()
    )
    values = ", ".join(setting_text(value.label) for value in tuning.axis.values)
    seeds = ", ".join(map(str, tuning.seeds))
    budget = (
        f"Before the final runs {tuning.axis.name} was chosen for each function among {values} "
        f"by the {label} on the validation set of a first stage of {runs} runs (seeds {seeds}), "
        "the same budget for each function"
    )
    return f"{budget}. Chosen: {chosen}." if chosen else f"{budget}. Nothing is chosen yet."


def _own_labels(cell: Cell, cells: Sequence[Cell]) -> list[Any]:
    """Return the labels in which the cells of a study differ."""
    return [
        value
        for name, value in cell.labels.items()
        if name not in ("seed", "stage") and any(other.labels.get(name) != value for other in cells)
    ]
