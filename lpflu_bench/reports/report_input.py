"""What the report of a study is made of: its specification and the records that belong to its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.studies.grid import FINAL, TUNE, Cell
from lpflu_bench.studies.study_file import Study
from lpflu_bench.studies.tuning import Selection, describe_choices, validation_scores

Part = tuple[ReportSpec, list[Mapping[str, Any]], Path]


def _axes(study: Study, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the swept settings: the file's axes, and the network where a task has several."""
    axes = [axis.name for axis in study.axes if axis.name != "activation"]
    networks: dict[Any, set[Any]] = {}
    for cell in cells:
        networks.setdefault(cell.labels["task"], set()).add(cell.labels["network"])
    several = any(len(names) > 1 for names in networks.values())
    return tuple(["network", *axes] if several and "network" not in axes else axes)


def report_parts(
    study: Study,
    cells: Sequence[Cell],
    selection: Selection,
    records: Mapping[str, Mapping[str, Any]],
    folder: Path,
    narrowed: str = "",
) -> list[Part]:
    """Return (specification, records, folder) of the study's report, and of its tuning stage where it has one.

    Records that belong to no cell of the plan stay out: the same folder may hold other settings' runs. ``cells`` and
    ``selection`` are the whole study's: what ``--only`` hides is judged all the same.
    """
    final = [cell for cell in selection.cells if cell.stage == FINAL]
    planned = list({(cell.group, cell.seed): cell for cell in cells if cell.stage == FINAL}.values())
    spec = ReportSpec(
        name=study.name,
        title=study.title,
        description=study.description,
        reference=study.reference,
        metrics=study.metrics,
        axes=_axes(study, cells),
        published=study.published,
        planned=tuple(cell.labels for cell in planned),
        rule=study.rule,
        narrowed=narrowed,
        only=study.only,
    )
    parts: list[Part] = []
    mine: list[Mapping[str, Any]]
    if study.tuning:
        first = [cell for cell in selection.cells if cell.stage == TUNE]
        text = describe_choices(selection, cells, study.tuning)
        spec = replace(spec, description=f"{spec.description} {text}".strip())
        axis = study.tuning.axis.name
        trial = replace(
            spec,
            name=f"{study.name}-tuning",
            title=f"{study.title}: the tuning stage, scores on the validation set",
            axes=(*spec.axes, axis),
            published=None,
            rule=replace(study.rule, looks=()),
            planned=tuple({**cell.labels, axis: cell.choice} for cell in first),
        )
        mine = [
            {
                **records[cell.hash],
                "cell": {**cell.labels, axis: cell.choice},
                "metrics": validation_scores(records[cell.hash]),
                "num_test_samples": None,
            }
            for cell in first
            if cell.hash in records
        ]
        parts.append((trial, mine, folder / "tuning"))
    mine = [{**records[cell.hash], "cell": dict(cell.labels)} for cell in final if cell.hash in records]
    parts.append((spec, mine, folder))
    return parts
