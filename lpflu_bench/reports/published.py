"""The paper's tables beside the measured ones."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lpflu_bench.errors import UserError
from lpflu_bench.reports import statistics
from lpflu_bench.reports.results import Block, binomial_samples
from lpflu_bench.reports.runs import Place, Runs, place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.studies.study_file import published_path
from lpflu_bench.text import setting_text

EPOCHS = 80
"""What the paper trained every network for."""
_REQUIRED = ["table", "task", "network", "activation", "metric", "value"]


@dataclass(frozen=True)
class CellComparison:
    """A published value beside the measured ones.

    Attributes:
        activation: the function.
        n: number of measured runs.
        measured: their mean.
        interval: where one further run is expected (from the spread over seeds), or the test set's binomial interval
            for a single run; None where neither exists.
        published: the paper's value.
    """

    activation: str
    n: int
    measured: float
    interval: statistics.Interval | None
    published: float

    @property
    def difference(self) -> float:
        """Measured - published."""
        return self.measured - self.published

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies inside the interval; None without one."""
        return None if self.interval is None else self.published in self.interval


@dataclass(frozen=True)
class Ordering:
    """How the measured order of functions agrees with the paper's.

    Attributes:
        functions: number of functions that both have.
        tau: Kendall's tau-b of means and published values; nan if either is tied throughout.
        pairs: number of pairs that the paper orders (published values differ).
        kept: those whose measured means lie in the same order.
        reversed: (better, worse) as published, for the pairs that are measured the other way round or equal.
        contradicted: those of ``reversed`` that are separable: a paired t-test over common seeds, Holm-corrected over
            all pairs, finds the opposite order.
    """

    functions: int
    tau: float
    pairs: int
    kept: int
    reversed: tuple[tuple[str, str], ...]
    contradicted: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BlockComparison:
    """One measured block beside its published column."""

    block: Block
    cells: tuple[CellComparison, ...]
    ordering: Ordering | None


@dataclass
class PaperComparison:
    """Everything comparable, and why the rest is not."""

    table: str
    blocks: list[BlockComparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load_published(table: str) -> pd.DataFrame:
    """Read a published table: ``table1`` ... ``table7`` or the path of a CSV file with the same columns.

    Returns:
        Text columns (``table``, ``task``, ``network``, settings, ``activation``, ``metric``) and a float ``value``.

    Raises:
        UserError: there is no such table, or it lacks a column or has a value that is not a number.
    """
    path = published_path(table)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in _REQUIRED if name not in frame.columns]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}")
    try:
        frame["value"] = frame["value"].astype(float)
    except ValueError as error:
        raise UserError(f"{path}: a value is not a number ({error})") from error
    return frame


def _matches(text: str, published: str) -> bool:
    return text.casefold() == published.casefold()


def _network_matches(network: str, published: str) -> bool:
    # A recipe's network may be named more closely than the paper does: ssdlite320_mobilenet_v3_large is an ssdlite.
    return (
        not published
        or network == published
        or network.startswith(f"{published}_")
        or (published.isalpha() and network.startswith(published))
    )


def _column(
    published: pd.DataFrame, spec: ReportSpec, place: Place, network: str, metric: str
) -> tuple[dict[str, float], str]:
    """Return activation -> published value for a measured place, or none and the reason."""
    rows = published[(published["task"] == place.task) & (published["metric"] == metric)]
    if rows.empty:
        return {}, f"{metric} of {place.task} is not in the published table"
    rows = rows[[_network_matches(network, text) for text in rows["network"]]]
    if rows.empty:
        return {}, f"the published table has no network {network}"
    setting = dict(zip(spec.axes, place.setting, strict=True))
    for name in (name for name in rows.columns if name not in _REQUIRED):
        if name not in setting:
            return {}, f"the published table distinguishes {name}, the study does not"
        rows = rows[[_matches(setting[name], text) for text in rows[name]]]
    if rows.empty:
        return {}, "the published table has no such setting"
    return dict(zip(rows["activation"], rows["value"].astype(float), strict=True)), ""


def ordering(block: Block, published: Mapping[str, float], confidence: float = 0.95) -> Ordering | None:
    """Compare the order of means with the published order; None for fewer than two common functions."""
    scores = {name: seeds for name, seeds in block.scores.items() if name in published}
    if len(scores) < 2:
        return None
    sign = 1 if block.metric.lower_is_better else -1
    means = {name: float(np.mean(list(seeds.values()))) for name, seeds in scores.items()}
    tau = stats.kendalltau(list(means.values()), [published[name] for name in scores]).statistic
    ordered = []
    for one, two in itertools.combinations(scores, 2):
        gap = sign * (published[one] - published[two])
        if gap != 0:
            ordered.append((one, two) if gap < 0 else (two, one))
    comparisons = []
    for better, worse in ordered:
        common = sorted(scores[better].keys() & scores[worse].keys())
        comparisons.append(
            statistics.compare_paired(
                [scores[better][seed] for seed in common],
                [scores[worse][seed] for seed in common],
                lower_is_better=block.metric.lower_is_better,
            )
            if common
            else None
        )
    adjusted = statistics.holm([pair.p if pair else None for pair in comparisons])
    kept = [sign * (means[better] - means[worse]) < 0 for better, worse in ordered]
    return Ordering(
        functions=len(scores),
        tau=math.nan if tau is None else float(tau),
        pairs=len(ordered),
        kept=sum(kept),
        reversed=tuple(pair for pair, same in zip(ordered, kept, strict=True) if not same),
        contradicted=tuple(
            pair
            for pair, test, p in zip(ordered, comparisons, adjusted, strict=True)
            if test and p is not None and p < 1 - confidence and sign * test.difference > 0
        ),
    )


def compare_with_paper(spec: ReportSpec, runs: Runs, blocks: list[Block]) -> PaperComparison | None:
    """Put the published values beside the measured ones; None if the study names no published table.

    A measured place matches published rows of the same task, network and settings, whatever they are called in the
    table's columns. Nothing else is compared: an error of another network says nothing about the paper's.

    Raises:
        UserError: the published table cannot be read.
    """
    if spec.published is None:
        return None
    published = load_published(spec.published)
    comparison = PaperComparison(Path(spec.published).stem)
    reasons: dict[str, list[str]] = {}
    epochs: set[int] = set()
    for block in blocks:
        records = runs.records(block.place)
        networks = sorted({setting_text(record.get("network")) for record in records})
        where = place_text(spec, block.place)
        if len(networks) != 1:
            reasons.setdefault(f"several networks ({', '.join(networks)}) in one place", []).append(where)
            continue
        column, reason = _column(published, spec, block.place, networks[0], block.metric.name)
        if reason:
            reasons.setdefault(reason, []).append(where)
            continue
        cells = []
        for row in block.rows:
            if row.activation not in column or row.mean is None:
                continue
            interval = statistics.prediction_interval(row.values, spec.confidence)
            if len(row.values) == 1 and (samples := binomial_samples(records[0], block.metric)):
                interval = statistics.wilson_interval(row.values[0], samples, spec.confidence)
            cells.append(CellComparison(row.activation, len(row.values), row.mean, interval, column[row.activation]))
        if cells:
            epochs |= {int(record["epochs"]) for record in records if record.get("epochs")}
            order = ordering(block, column, spec.confidence)
            comparison.blocks.append(BlockComparison(block, tuple(cells), order))
        else:
            reasons.setdefault("no function of the published table was measured", []).append(where)
    if shorter := sorted(epochs - {EPOCHS}):
        comparison.notes.append(
            f"The measured networks were trained for {', '.join(map(str, shorter))} epochs, the paper's for {EPOCHS}: "
            "the values are not expected to agree."
        )
    for reason, places in reasons.items():
        where = "; ".join(dict.fromkeys(places))
        comparison.notes.append(f"Not compared: {where} ({reason}).")
    return comparison


def published_frame(spec: ReportSpec, comparison: PaperComparison) -> pd.DataFrame:
    """Return one line for each value that both have."""
    return pd.DataFrame(
        [
            {
                "task": item.block.place.task,
                **dict(zip(spec.axes, item.block.place.setting, strict=True)),
                "weights": item.block.weights,
                "metric": item.block.metric.name,
                "activation": cell.activation,
                "n": cell.n,
                "measured": cell.measured,
                "low": cell.interval and cell.interval.low,
                "high": cell.interval and cell.interval.high,
                "interval": cell.interval and cell.interval.method,
                "published": cell.published,
                "difference": cell.difference,
                "inside": cell.inside,
            }
            for item in comparison.blocks
            for cell in item.cells
        ],
        dtype=object,
    )
