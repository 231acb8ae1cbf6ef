"""What the report of a study is made of: its specification and the records that belong to its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpflu_bench.records import Record, Tested
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.studies.plan import FINAL, TUNE, Cell, Plan
from lpflu_bench.studies.study import Study
from lpflu_bench.studies.tuning import Selection, describe_choices, validation_scores

Part = tuple[ReportSpec, list[Record], Path]


def _axes(study: Study, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the swept settings: the file's axes, and the network where a task has several."""
    axes = [axis.name for axis in study.axes if axis.name != "activation"]
    networks: dict[Any, set[Any]] = {}
    for cell in cells:
        networks.setdefault(cell.labels["task"], set()).add(cell.labels["network"])
    several = any(len(names) > 1 for names in networks.values())
    return tuple(["network", *axes] if several and "network" not in axes else axes)


def _validated(record: Record, labels: Mapping[str, Any]) -> Record:
    """Return a record with its validation scores in the place of its test's."""
    scores = validation_scores(record)
    tests: list[Tested] = [{**test, "metrics": scores, "num_samples": 0} for test in record["tested"][:1]]
    return {**record, "cell": dict(labels), "tested": tests}


def report_parts(
    study: Study,
    plan: Plan,
    selection: Selection,
    records: Mapping[str, Record],
    folder: Path,
    narrowed: str = "",
    *,
    include_partial: bool = False,
) -> list[Part]:
    """Return (specification, records, folder) of the study's report, and of its tuning stage where it has one.

    Records that belong to no cell of the plan stay out: the same folder may hold other settings' runs. ``plan`` and
    ``selection`` are the whole study's: what ``--only`` hides is judged all the same. A record is there once for each
    planned test, with that test's results alone and its labels in ``cell``.
    """
    cells = plan.cells
    final = [cell for cell in selection.cells if cell.stage == FINAL]
    planned = list({(cell.group, cell.seed): cell for cell in cells if cell.stage == FINAL}.values())
    spec = ReportSpec(
        name=study.name,
        title=study.title,
        description=study.description,
        reference=study.reference,
        metrics=study.metrics,
        axes=(*_axes(study, cells), *(axis.name for axis in study.tests)),
        published=study.published,
        planned=tuple({**cell.labels, **test.labels} for cell in planned for test in plan.tests_of(cell)),
        include_partial=include_partial,
        rule=study.rule,
        narrowed=narrowed,
        only=study.only,
    )
    parts: list[Part] = []
    mine: list[Record]
    if study.tuning:
        first = [cell for cell in selection.cells if cell.stage == TUNE]
        text = describe_choices(selection, cells, study.tuning)
        spec = replace(spec, description=f"{spec.description} {text}".strip())
        axis = study.tuning.axis.name
        trial = replace(
            spec,
            name=f"{study.name}-tuning",
            title=f"{study.title}: the tuning stage, scores on the validation set",
            axes=(*_axes(study, cells), axis),
            published=None,
            rule=replace(study.rule, looks=()),
            planned=tuple({**cell.labels, axis: cell.choice} for cell in first),
        )
        mine = [
            _validated(records[cell.hash], {**cell.labels, axis: cell.choice}) for cell in first if cell.hash in records
        ]
        parts.append((trial, mine, folder / "tuning"))
    mine = [
        {**record, "cell": {**cell.labels, **test.labels}, "tested": test.of(record)}
        for cell in final
        if (record := records.get(cell.hash)) is not None
        for test in plan.tests_of(cell)
    ]
    parts.append((spec, mine, folder))
    return parts
