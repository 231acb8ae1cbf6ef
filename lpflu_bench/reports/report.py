"""Writes a study's report: CSV, Markdown, LaTeX, figures and one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench.reports import figures, latex, markdown, page
from lpflu_bench.reports.frames import flat_frame, flatten
from lpflu_bench.reports.published import compare_with_paper, published_frame
from lpflu_bench.reports.results import result_blocks, results_frame, study_ranks
from lpflu_bench.reports.runs import collect
from lpflu_bench.reports.spec import ReportSpec

__all__ = ["ReportSpec", "write_report"]


def write_report(study: ReportSpec, records: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the report of a study into a folder; the same records give the same bytes.

    Files: ``cells.csv`` (one row per run, everything recorded), ``table.csv`` (one row per function, place and metric),
    ``table.md``, ``table.tex``, ``published.csv`` (only with a published table), ``figures/*.png`` and ``*.svg``, and
    ``index.html``, which needs none of the others.

    Args:
        study: what is compared.
        records: of any status, in any order.
        out: the folder; it is made. Figures of an earlier report that this one has not are removed.

    Raises:
        UserError: the published table cannot be read.
    """
    runs = collect(study, records)
    blocks = result_blocks(study, runs)
    ranks = study_ranks(study, blocks)
    paper = compare_with_paper(study, runs, blocks)
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    flats = [flatten(record) for record in records]
    flat_frame(records, flats).to_csv(out / "cells.csv", index=False, lineterminator="\n")
    results_frame(study, blocks).to_csv(out / "table.csv", index=False, lineterminator="\n")
    if paper is not None and paper.blocks:
        published_frame(study, paper).to_csv(out / "published.csv", index=False, lineterminator="\n")
    else:
        (out / "published.csv").unlink(missing_ok=True)
    _write(out / "table.md", markdown.markdown(study, runs, blocks, ranks, paper))
    _write(out / "table.tex", latex.latex(study, blocks))
    pictures = [
        page.Picture(drawing, figures.save(drawing, folder)) for drawing in figures.draw_all(study, runs, blocks, ranks)
    ]
    drawn = {picture.drawing.name for picture in pictures}
    for file in (file for pattern in ("*.png", "*.svg") for file in folder.glob(pattern)):
        if file.stem not in drawn:
            file.unlink()
    _write(out / "index.html", page.page(study, runs, blocks, ranks, paper, pictures, records, flats))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
