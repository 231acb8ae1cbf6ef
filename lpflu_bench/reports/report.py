"""Writes a study's report: CSV, Markdown, LaTeX, figures and one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lpflu_bench.files import write_text_atomically
from lpflu_bench.records import Record
from lpflu_bench.reports import drawing, figures, latex, markdown, page
from lpflu_bench.reports.analysis import Analysis, analyse
from lpflu_bench.reports.beside import beside
from lpflu_bench.reports.cells import cell_rows, write_csv
from lpflu_bench.reports.corruptions import corruption_section
from lpflu_bench.reports.deployed import deployed_section
from lpflu_bench.reports.figures import Curve, recorded_curve
from lpflu_bench.reports.images import Load
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.tables import replication_rows, result_rows

__all__ = ["ReportSpec", "write_report"]


def write_report(
    study: ReportSpec,
    records: Sequence[Record],
    out: Path,
    outcomes: Load | None = None,
    curve: Curve = recorded_curve,
) -> None:
    """Write the report of a study into a folder; the same records give the same bytes.

    Files: ``cells.csv`` (one row per run, everything recorded), ``table.csv`` (one row per function, place and score),
    ``table.md``, ``table.tex``, ``published.csv`` (only with a published table), ``corruptions.csv`` and
    ``deployed.csv`` (only where runs were tested on corrupted images or deployed), ``figures/*.png`` and ``*.svg``, and
    ``index.html``, which needs none of the others. Nothing is written before everything is judged.

    Args:
        study: what is compared.
        records: of any status, in any order.
        out: the folder; it is made. Figures of an earlier report that this one has not are removed.
        outcomes: gives a record's outcomes of single images, where they are kept.
        curve: gives a record's training curve, where the records are read in short.

    Raises:
        UserError: there is nothing to compare with, or the published table cannot be read; nothing was written.
    """
    analysis = analyse(study, records, outcomes)
    with beside(lambda: write_csv(out / "cells.csv", *cell_rows(analysis.records))):
        _write_comparison(analysis, records, out, curve)


def _write_comparison(analysis: Analysis, records: Sequence[Record], out: Path, curve: Curve) -> None:
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(out / "table.csv", result_rows(analysis))
    if analysis.replication is not None and analysis.replication.columns:
        write_rows(out / "published.csv", replication_rows(analysis, analysis.replication))
    else:
        (out / "published.csv").unlink(missing_ok=True)
    further = (corruption_section(records, analysis.spec.reference), deployed_section(records))
    sections = [section for section in further if section is not None]
    for name in ("corruptions", "deployed"):
        (out / f"{name}.csv").unlink(missing_ok=True)
    for section in sections:
        write_rows(out / f"{section.name}.csv", section.rows)
    pictures = [page.Picture(drawn, drawing.save_svg(drawn, folder)) for drawn in figures.draw_all(analysis, curve)]
    names = {picture.drawing.name for picture in pictures}
    for file in (file for pattern in ("*.png", "*.svg") for file in folder.glob(pattern)):
        if file.stem not in names:
            file.unlink()
    with beside(lambda: drawing.save_pngs((picture.drawing for picture in pictures), folder)):
        write_text_atomically(out / "table.md", markdown.markdown(analysis, sections))
        write_text_atomically(out / "table.tex", latex.latex(analysis))
        write_text_atomically(out / "index.html", page.page(analysis, pictures, sections))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as CSV; an empty place for None."""
    write_csv(path, list(rows[0]) if rows else [], rows)
