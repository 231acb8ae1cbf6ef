"""Write tables, figures and the page."""

import argparse

from lpflu_bench.commands.study.session import Session, say


def execute(session: Session, args: argparse.Namespace) -> int:
    """Write them and name the page."""
    from lpflu_bench.reports.report import write_report
    from lpflu_bench.reports.report_input import report_parts

    records = session.store.records()
    selection = session.selection(records)
    for spec, chosen, folder in report_parts(session.study, session.cells, selection, records, session.store.results):
        write_report(spec, chosen, folder)
        say(f"{len(chosen)} of {len(spec.planned)} records; {folder / 'index.html'}")
    return 0
