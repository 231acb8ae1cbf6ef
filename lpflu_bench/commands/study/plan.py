"""Validate every cell and say what the study is made of."""

import argparse

from lpflu_bench.commands.study.session import Session, say


def execute(session: Session, args: argparse.Namespace) -> int:
    """Print it."""
    from lpflu_bench.studies.grid import TUNE
    from lpflu_bench.text import setting_text

    study, cells = session.study, session.cells
    say(f"{study.name}: {study.title}")
    tuning = [cell for cell in cells if cell.stage == TUNE]
    final = {(cell.group, cell.seed) for cell in cells if cell.stage != TUNE}
    first = f"{len(tuning)} to choose {study.tuning.axis.name}, then " if study.tuning else ""
    say(f"{len(tuning) + len(final)} cells: {first}{len(final)} runs; every configuration is valid")
    names = dict.fromkeys(name for cell in cells for name in cell.labels if name not in ("study", "stage"))
    for name in names:
        values = dict.fromkeys(setting_text(cell.labels[name]) for cell in cells if name in cell.labels)
        say(f"  {name} ({len(values)}): {', '.join(values)}")
    if study.tuning:
        say(f"  tuned: {study.tuning.axis.name}: {', '.join(setting_text(v.label) for v in study.tuning.axis.values)}")
    say(f"  metrics: {', '.join(f'{score.name} ({score.direction} is better)' for score in session.plan.scores)}")
    say(
        f"  reference: {study.reference}"
        + (f"; compared with results/published/{study.published}" if study.published else "")
    )
    return 0
