"""Average ranks over the places of a study that hold networks of their own."""

from collections.abc import Sequence

import numpy as np

from lpflu_bench.inference.ranks import MIN_FUNCTIONS, MIN_ROWS, Ranks, average_ranks
from lpflu_bench.reports.columns import Column
from lpflu_bench.reports.runs import Runs, trained_networks
from lpflu_bench.reports.spec import ReportSpec


def independent_rows(runs: Runs, columns: Sequence[Column]) -> list[list[Column]]:
    """Put the places together that test the same trained networks: they are one row."""
    rows: list[tuple[set[str], list[Column]]] = []
    for column in columns:
        networks = trained_networks(runs.records(column.place))
        joined = [column]
        rest = []
        for others, members in rows:
            if networks & others:
                networks |= others
                joined = [*members, *joined]
            else:
                rest.append((others, members))
        rows = [*rest, (networks, joined)]
    return [members for _, members in rows]


def study_ranks(spec: ReportSpec, runs: Runs, columns: Sequence[Column]) -> Ranks | str:
    """Rank the functions over the study's data rows, or say why that would mean nothing.

    A data row is a place with its task's main score, averaged over seeds: further seeds and further scores of the same
    runs are no further evidence about where a function works, and neither are further tests of the same networks, which
    are averaged. A row counts if every function has a result there.
    """
    names = [row.activation for row in columns[0].rows] if columns else []
    names = [name for name in names if any(name in column.scores for column in columns)]
    complete = [column for column in columns if all(name in column.scores for name in names)]
    rows = independent_rows(runs, complete)
    if len(rows) < MIN_ROWS or len(names) < MIN_FUNCTIONS:
        return (
            f"No average rank: it takes at least {MIN_ROWS} tasks or settings with trained networks of their own in which "
            f"every function has a result, and {MIN_FUNCTIONS} functions; here are {len(rows)} and {len(names)}."
        )
    means = [
        [float(np.mean([np.mean(list(column.scores[name].values())) for column in row])) for name in names]
        for row in rows
    ]
    directions = [row[0].score.lower_is_better for row in rows]
    return average_ranks(np.asarray(means), names, directions, spec.rule.level)
