"""The report as one HTML page that needs nothing else: no network, no further file."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lpflu_bench.reports import wording
from lpflu_bench.reports.figures import INK, MAX_PLACES, MAX_SWEEPS, Drawing
from lpflu_bench.reports.frames import flatten
from lpflu_bench.reports.published import PaperComparison
from lpflu_bench.reports.results import Block, Row
from lpflu_bench.reports.runs import Place, Runs, cell_of, declared_scores, metric_value, place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.statistics import Ranks
from lpflu_bench.reports.tables import PAPER_HEAD, overviews, paper_lines
from lpflu_bench.text import duration, setting_text

_KINDS = {"sweep": "Swept settings", "curves": "Training curves", "cost": "Accuracy against cost"}
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


def page(
    spec: ReportSpec,
    runs: Runs,
    blocks: Sequence[Block],
    ranks: Ranks | str,
    paper: PaperComparison | None,
    pictures: Sequence[Picture],
    records: Sequence[Mapping[str, Any]],
    flats: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page's HTML; ``flats`` are the flattened records, in their order."""
    flat_of = {id(record): flat for record, flat in zip(records, flats, strict=True)}
    cells = _ordered(spec, runs, records)
    index = {id(record): number for number, record in enumerate(cells)}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    by_kind = {kind: [p for p in pictures if p.drawing.kind == kind] for kind in (*_KINDS, "ranks")}
    return environment.get_template("page.html").render(
        spec=spec,
        facts=_facts(runs, cells),
        summaries=[_summary(spec, block) for block in blocks if block.main and block.weights == "raw"],
        overviews=overviews(spec, blocks),
        comparisons=_comparisons(spec, runs, blocks, index),
        methods=wording.method_notes(spec, blocks) if blocks else [],
        ranks=[ranks] if isinstance(ranks, str) else wording.ranks_lines(ranks),
        ranks_picture=by_kind["ranks"][0] if by_kind["ranks"] else None,
        pictures=[(_KINDS[kind], by_kind[kind]) for kind in _KINDS if by_kind[kind]],
        max_sweeps=MAX_SWEEPS,
        max_places=MAX_PLACES,
        places=len({block.place for block in blocks}),
        paper=None if paper is None else _paper(spec, paper),
        paper_head=PAPER_HEAD,
        diagnostics=_diagnostics(spec, runs),
        gaps=wording.gap_notes(spec, runs),
        cells=_cells(spec, cells),
        configs=_configs([flat_of[id(cell)] for cell in cells]),
    )


def _ordered(spec: ReportSpec, runs: Runs, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    places = {place: number for number, place in enumerate(runs.places)}
    functions = {name: number for number, name in enumerate(runs.activations)}

    def key(record: Mapping[str, Any]) -> tuple[int, int, int, str, str]:
        cell = cell_of(record, spec.axes)
        place = Place(str(cell["task"]), tuple(setting_text(cell[axis]) for axis in spec.axes))
        when, which = str(record.get("finished_at") or ""), str(record.get("config_hash") or "")
        return (places[place], functions[str(cell["activation"])], int(cell["seed"]), when, which)

    return sorted(records, key=key)


def _facts(runs: Runs, cells: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    done = sum(len(seeds) for seeds in runs.finished.values())
    failed = sum(gap.status == "failed" for gap in runs.gaps)
    facts = [("runs", f"{done} of {done + len(runs.gaps)} finished" + (f", {failed} failed" if failed else ""))]
    seeds = sorted({seed for group in runs.finished.values() for seed in group})
    facts.append(("functions", str(len(runs.activations))))
    facts.append(("seeds", ", ".join(map(str, seeds)) if len(seeds) <= 6 else f"{len(seeds)}"))
    finished = [record for group in runs.finished.values() for record in group.values()]
    if epochs := sorted({record["epochs"] for record in finished if record.get("epochs")}):
        facts.append(("epochs", ", ".join(map(str, epochs))))
    seconds = sum(float((record.get("train") or {}).get("seconds") or 0) for record in finished)
    if seconds:
        facts.append(("training time", duration(seconds)))
    for key, name in (("device", "device"), ("torch", "torch"), ("commit", "commit")):
        found = sorted({str((cell.get("environment") or {}).get(key) or "") for cell in cells} - {""})
        if found:
            facts.append((name, ", ".join(text[:10] if key == "commit" else text for text in found[:3])))
    return facts


def _summary(spec: ReportSpec, block: Block) -> dict[str, Any]:
    """Return a place's verdicts in words."""
    reference = next((row for row in block.rows if row.activation == spec.reference), None)
    named: dict[str, list[str]] = {"better": [], "worse": [], "not separable": []}
    for row in block.rows:
        if row.judgement in named:
            points = f" ({wording.number(row.paired.difference, signed=True)})" if row.paired else ""
            named[row.judgement].append(row.activation + (points if row.judgement != "not separable" else ""))
    return {
        "place": place_text(spec, block.place),
        "metric": block.metric,
        "reference": wording.mean_text(reference) if reference and reference.seeds else None,
        "named": named,
        "best": block.best,
    }


def _track(block: Block) -> float:
    """Return the half width of the axis on which a block's differences are drawn, in the metric's unit."""
    ends = [
        max(abs(pair.interval.low), abs(pair.interval.high)) if pair.interval else abs(pair.difference)
        for row in block.rows
        if (pair := row.paired)
    ]
    return max(ends, default=0.0) * 1.08


def _bar(row: Row, reach: float) -> dict[str, float] | None:
    """Return where point and interval lie on the track, in percent of its width."""
    pair = row.paired
    if pair is None or reach <= 0:
        return None

    def percent(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    low, high = (pair.interval.low, pair.interval.high) if pair.interval else (pair.difference, pair.difference)
    return {"low": percent(low), "width": round(percent(high) - percent(low), 2), "point": percent(pair.difference)}


def _comparisons(
    spec: ReportSpec, runs: Runs, blocks: Sequence[Block], index: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return the comparisons by place and kind of weights; the main metric first."""
    grouped: dict[tuple[Place, str], list[dict[str, Any]]] = {}
    for block in blocks:
        reach = _track(block)
        lines = []
        for row in block.rows:
            group = runs.finished.get((block.place, row.activation), {})
            pair = row.paired
            lines.append(
                {
                    "row": row,
                    "kind": row.judgement.replace(" ", "-"),
                    "best": row.activation == block.best,
                    "bar": _bar(row, reach),
                    "mean": wording.mean_text(row),
                    "difference": wording.number(pair.difference, signed=True) if pair else "–",
                    "interval": wording.interval_text(pair.interval, signed=True) if pair and pair.interval else "",
                    "method": pair.interval.method if pair and pair.interval else "",
                    "p": wording.p_text(row.p_holm),
                    "improvement": wording.share_text(pair.improvement if pair else None),
                    "config": index[id(group[row.seeds[0]])] if row.seeds else None,
                }
            )
        entry = {"metric": block.metric, "lines": lines, "main": block.main}
        grouped.setdefault((block.place, block.weights), []).append(entry)
    return [
        {
            "title": ", ".join(filter(None, [place_text(spec, place), wording.weights_text(weights, blocks)])),
            "metrics": metrics,
        }
        for (place, weights), metrics in grouped.items()
    ]


def _paper(spec: ReportSpec, paper: PaperComparison) -> dict[str, Any]:
    several = {item.block.weights for item in paper.blocks} != {"raw"}
    items = [
        {
            "title": f"{place_text(spec, item.block.place)}: {item.block.metric.title}"
            + (f", {item.block.weights} weights" if several else ""),
            "lines": [(line, cell) for line, cell in zip(paper_lines(item), item.cells, strict=True)],
            "ordering": wording.ordering_text(item.ordering),
            "main": item.block.main,
        }
        for item in paper.blocks
    ]
    return {"table": paper.table, "items": items, "notes": [*([wording.PAPER_NOTE] if items else []), *paper.notes]}


def _diagnostics(spec: ReportSpec, runs: Runs) -> dict[str, Any] | None:
    """Return the scalars of the diagnostics callback, averaged over seeds, by place and function."""
    lines = []
    for (place, activation), group in runs.finished.items():
        found: dict[str, list[float]] = {}
        for record in group.values():
            if not record.get("diagnostics"):
                continue
            for key, value in flatten({"diagnostics": record["diagnostics"]}).items():
                if isinstance(value, (int, float)) and math.isfinite(value):
                    found.setdefault(key.removeprefix("diagnostics."), []).append(value)
        if found:
            means = {key: sum(values) / len(values) for key, values in found.items()}
            lines.append((place_text(spec, place), activation, means))
    if not lines:
        return None
    return {"keys": list(dict.fromkeys(key for *_, means in lines for key in means)), "lines": lines}


def _cells(spec: ReportSpec, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return every run's line: what it was and what came out."""
    averaged = any(cell.get("metrics_averaged") for cell in cells)
    scored: list[tuple[str, str, str]] = []
    declared = declared_scores(cells)
    for metric in (declared[name] for name in spec.metrics if name in declared):
        for weights in ("raw", "averaged") if averaged else ("raw",):
            if any(metric_value(cell, metric.name, weights) is not None for cell in cells):
                label = metric.title + (f", {weights}" if averaged else "")
                scored.append((metric.name, weights, label))
    lines = []
    for cell in cells:
        place = cell_of(cell, spec.axes)
        train = cell.get("train") or {}
        numbers = [metric_value(cell, name, weights) for name, weights, _ in scored]
        speed, seconds, memory = (train.get(key) for key in ("images_per_second", "seconds", "peak_memory_mb"))
        lines.append(
            {
                "texts": [setting_text(place[key]) for key in ("task", *spec.axes, "activation")],
                "seed": place["seed"],
                "numbers": [(value, wording.number(value)) for value in numbers]
                + [
                    (speed, "–" if speed is None else f"{speed:.0f}"),
                    (seconds, "–" if seconds is None else duration(seconds)),
                    (memory, "–" if memory is None else f"{memory:.0f}"),
                ],
                "status": str(cell.get("status")),
                "error": str(cell.get("error") or ""),
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
