"""The report as one HTML page that needs nothing else: no network, no further file."""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from lpflu_bench.records import WEIGHTS, Record, Weights
from lpflu_bench.reports import wording
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.cells import flatten
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.drawing import INK, Drawing
from lpflu_bench.reports.figures import MAX_PLACES, MAX_SWEEPS
from lpflu_bench.reports.replication import Replication, differing_note
from lpflu_bench.reports.runs import Place, Runs, cell_of, declared_scores, metric_value, place_text
from lpflu_bench.reports.sections import Section
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.tables import REPLICATION_HEAD, overviews, replication_lines
from lpflu_bench.text import duration, setting_text

_KINDS = {"sweep": "Swept settings", "curves": "Training curves", "cost": "Score against cost"}
MAX_RUNS = 1000
"""A study of more runs has no table of them on its page: ``cells.csv`` has."""
_NOT_CONFIG = ("cell.", "metrics.", "error", "status", "schema")


@dataclass(frozen=True)
class Picture:
    """A drawing and its SVG text."""

    drawing: Drawing
    svg: str

    @property
    def inline(self) -> Markup:
        """The SVG as an element of the page, in the page's text colour."""
        element = self.svg[self.svg.index("<svg") :].replace(INK, "currentColor")
        element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
        element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
        # Matplotlib's names are unique in one figure only; on the page they have to be in all.
        element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.drawing.name}-", element)
        return Markup(element)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = lambda name: Markup(escape(name).replace("_", Markup("_<wbr>")))
    return environment.get_template("page.html")


def page(analysis: Analysis, pictures: Sequence[Picture], sections: Sequence[Section] = ()) -> str:
    """Return the page's HTML."""
    spec, runs, cells = analysis.spec, analysis.runs, analysis.records
    listed = cells if len(cells) <= MAX_RUNS else ()
    index = {id(record): number for number, record in enumerate(listed)}
    by_kind = {kind: [p for p in pictures if p.drawing.kind == kind] for kind in (*_KINDS, "intervals", "ranks")}
    ranks = analysis.ranks
    places = len({column.place for column in analysis.columns})
    return _template().render(
        spec=spec,
        facts=_facts(analysis, cells),
        decided=[_decided(analysis, column) for column in analysis.main_columns],
        intervals=by_kind["intervals"],
        matrix=_matrix(analysis) if places > 1 else None,
        overviews=overviews(analysis),
        comparisons=_comparisons(analysis, index),
        methods=wording.method_notes(analysis) if analysis.columns else [],
        ranks=[ranks] if isinstance(ranks, str) else wording.ranks_lines(ranks),
        ranks_picture=by_kind["ranks"][0] if by_kind["ranks"] else None,
        pictures=[(_KINDS[kind], by_kind[kind]) for kind in _KINDS if by_kind[kind]],
        max_sweeps=MAX_SWEEPS,
        max_places=MAX_PLACES,
        places=places,
        paper=None if analysis.replication is None else _paper(analysis, analysis.replication),
        paper_head=REPLICATION_HEAD,
        sections=sections,
        diagnostics=_diagnostics(spec, runs),
        gaps=wording.gap_notes(analysis),
        cells=_cells(spec, listed),
        left_out=len(cells) - len(listed),
        configs=_configs([flatten(record) for record in listed]),
    )


def _facts(analysis: Analysis, cells: Sequence[Record]) -> list[tuple[str, str]]:
    runs = analysis.runs
    done = sum(len(seeds) for seeds in runs.finished.values())
    failed = sum(gap.status == "failed" for gap in runs.gaps)
    facts = [("runs", f"{done} of {done + len(runs.gaps)} finished" + (f", {failed} failed" if failed else ""))]
    seeds = sorted({seed for group in runs.finished.values() for seed in group})
    facts.append(("functions", str(len(runs.activations))))
    facts.append(("rule", f"{wording.level_text(analysis.spec)} intervals, all of a column together"))
    facts.append(("seeds", ", ".join(map(str, seeds)) if len(seeds) <= 6 else f"{len(seeds)}"))
    finished = [record for group in runs.finished.values() for record in group.values()]
    if epochs := sorted({record["trained"]["epochs"] for record in finished}):
        facts.append(("epochs", ", ".join(map(str, epochs))))
    trainings = {record["trained"]["config_hash"]: record["trained"] for record in finished}
    seconds = sum(trained["seconds"] for trained in trainings.values())
    if seconds:
        facts.append(("training time", duration(seconds)))
    for name in ("device", "torch"):
        if found := sorted({str(cell["trained"]["environment"].get(name) or "") for cell in cells} - {""}):
            facts.append((name, ", ".join(found)))
    if runs.sources:
        facts.append(("source", ", ".join(runs.sources)))
    return facts


def _decided(analysis: Analysis, column: Column) -> dict[str, Any]:
    """Return a place's verdicts in sentences."""
    reference = column.row(column.reference)
    return {
        "place": place_text(analysis.spec, column.place),
        "score": column.score,
        "reference": wording.mean_text(reference) if reference.seeds else None,
        "sentences": [(word.replace(" ", "-"), text) for word, text in wording.sentences(column)],
    }


def _matrix(analysis: Analysis) -> dict[str, Any]:
    """Return every main verdict at a glance: places against functions."""
    columns = analysis.main_columns
    names = [name for name in analysis.runs.activations if name != analysis.spec.reference]
    lines = []
    for column in columns:
        rows = {row.activation: row for row in column.rows}
        cells = [(wording.verdict_class(rows[name].verdict), wording.difference_text(rows[name])) for name in names]
        lines.append((place_text(analysis.spec, column.place), cells))
    return {"names": names, "lines": lines}


def _track(column: Column) -> float:
    """Return the half width of the axis on which a column's differences are drawn, in the score's unit."""
    ends = [
        max(abs(row.interval.low), abs(row.interval.high)) if row.interval else abs(row.comparison.difference)
        for row in column.rows
        if row.comparison
    ]
    return max(ends, default=0.0) * 1.08


def _bar(row: Row, reach: float) -> dict[str, float] | None:
    """Return the positions of point and interval on the track, in percent of its width."""
    if row.comparison is None or reach <= 0:
        return None

    def percent(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    point = row.comparison.difference
    low, high = (row.interval.low, row.interval.high) if row.interval else (point, point)
    return {"low": percent(low), "width": round(percent(high) - percent(low), 2), "point": percent(point)}


def _comparisons(analysis: Analysis, index: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return the comparisons by place and kind of weights; the main score first."""
    grouped: dict[tuple[Place, Weights], list[dict[str, Any]]] = {}
    for column in analysis.columns:
        reach = _track(column)
        lines = []
        for row in column.rows:
            group = analysis.runs.finished.get((column.place, row.activation), {})
            scored = [seed for seed in row.seeds if seed in group]
            lines.append(
                {
                    "row": row,
                    "kind": wording.verdict_class(row.verdict),
                    "word": row.verdict.word,
                    "detail": row.verdict.reason or ("by less than the margin" if row.verdict.below_margin else ""),
                    "notes": wording.row_notes(row, column),
                    "best": row.activation == column.best,
                    "bar": _bar(row, reach),
                    "mean": wording.mean_text(row),
                    "median": wording.number(row.median),
                    "difference": wording.difference_text(row),
                    "interval": wording.interval_text(row.interval) if row.interval else "",
                    "config": index.get(id(group[scored[0]])) if scored else None,
                }
            )
        entry = {"score": column.score, "lines": lines, "main": column.main, "noise": wording.noise_note(column)}
        grouped.setdefault((column.place, column.weights), []).append(entry)
    words = {(c.place, c.weights): wording.weights_text(c, analysis.columns) for c in analysis.columns}
    return [
        {"title": ", ".join(filter(None, [place_text(analysis.spec, key[0]), words[key]])), "metrics": metrics}
        for key, metrics in grouped.items()
    ]


def _paper(analysis: Analysis, replication: Replication) -> dict[str, Any]:
    items = [
        {
            "title": wording.column_title(item.column, analysis),
            "lines": [(line, pair) for line, pair in zip(replication_lines(item), item.pairs, strict=True)],
            "said": differing_note(item) or wording.replication_sentence(item, analysis.spec.reference),
            "main": item.column.main,
        }
        for item in replication.columns
    ]
    notes = [*([wording.PAPER_NOTE] if items else []), *replication.notes]
    return {"table": replication.table, "items": items, "notes": notes}


def _diagnostics(spec: ReportSpec, runs: Runs) -> dict[str, Any] | None:
    """Return the scalars of the diagnostics callback, averaged over seeds, by place and function."""
    lines = []
    for (place, activation), group in runs.finished.items():
        found: dict[str, list[float]] = {}
        for record in group.values():
            for key, value in (record["trained"]["diagnostics"] or {}).items():
                if isinstance(value, (int, float)) and math.isfinite(value):
                    found.setdefault(key, []).append(value)
        if found:
            means = {key: sum(values) / len(values) for key, values in found.items()}
            lines.append((place_text(spec, place), activation, means))
    if not lines:
        return None
    return {"keys": list(dict.fromkeys(key for *_, means in lines for key in means)), "lines": lines}


def _cells(spec: ReportSpec, cells: Sequence[Record]) -> dict[str, Any]:
    """Return every run's line: its settings and results."""
    averaged = any(test["weights"] == "averaged" for cell in cells for test in cell["tested"])
    scored: list[tuple[str, Weights, str]] = []
    declared = declared_scores(cells)
    for metric in (declared[name] for name in spec.metrics if name in declared):
        for weights in WEIGHTS if averaged else WEIGHTS[:1]:
            if any(metric_value(cell, metric.name, weights) is not None for cell in cells):
                label = metric.title + (f", {weights}" if averaged else "")
                scored.append((metric.name, weights, label))
    lines = []
    for cell in cells:
        place = cell_of(cell, spec.axes)
        trained = cell["trained"]
        numbers = [metric_value(cell, name, weights) for name, weights, _ in scored]
        speed, seconds, memory = trained["images_per_second"], trained["seconds"], trained["peak_memory_mb"]
        lines.append(
            {
                "texts": [setting_text(place[key]) for key in ("task", *spec.axes, "activation")],
                "seed": place["seed"],
                "numbers": [(value, wording.number(value)) for value in numbers]
                + [
                    (speed, "–" if speed is None else f"{speed:.0f}"),
                    (seconds, duration(seconds)),
                    (memory, "–" if memory is None else f"{memory:.0f}"),
                ],
                "status": cell["status"],
                "error": cell["error"] or "",
            }
        )
    heads = [*(label for *_, label in scored), "images/s", "training", "peak MB"]
    return {"texts": ["task", *spec.axes, "function"], "heads": heads, "lines": lines}


def _configs(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return every run's settings and surroundings: what all share once, what differs by run."""
    flats = [{key: value for key, value in cell.items() if not key.startswith(_NOT_CONFIG)} for cell in cells]
    if not flats:
        return {"common": {}, "cells": []}
    common = {
        key: value for key, value in flats[0].items() if all(key in flat and flat[key] == value for flat in flats[1:])
    }
    return {
        "common": common,
        "cells": [{key: value for key, value in flat.items() if key not in common} for flat in flats],
    }
