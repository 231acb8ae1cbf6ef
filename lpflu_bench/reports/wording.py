"""Numbers, verdicts and methods as a report words them, whatever its format."""

from collections.abc import Iterable, Sequence

from lpflu_bench.reports import statistics
from lpflu_bench.reports.published import Ordering
from lpflu_bench.reports.results import Block, Row
from lpflu_bench.reports.runs import Runs, place_text
from lpflu_bench.reports.spec import ReportSpec

PAPER_NOTE = (
    "Interval: where one further run is expected, from the spread over seeds; for a single run the binomial interval "
    "of the test set. The published values are single runs without a stated seed."
)


def number(value: float | None, *, signed: bool = False) -> str:
    """Return a number as the tables print it: two decimals, a real minus sign, a dash for none."""
    if value is None or value != value:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return text.replace("-", "−")


def interval_text(interval: statistics.Interval | None, *, signed: bool = False) -> str:
    """Return ``[low, high]``."""
    if interval is None:
        return "–"
    return f"[{number(interval.low, signed=signed)}, {number(interval.high, signed=signed)}]"


def p_text(p: float | None) -> str:
    """Return a p value."""
    if p is None:
        return "–"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.4f}" if f"{p:.3f}" == "0.050" else f"{p:.3f}"


def mean_text(row: Row) -> str:
    """Return ``mean ± sd``, the mean alone for a single run."""
    return number(row.mean) + (f" ± {number(row.sd)}" if row.sd is not None else "")


def share_text(share: float | None) -> str:
    """Return a probability in percent."""
    return "–" if share is None else f"{100 * share:.0f} %"


def weights_text(weights: str, blocks: Iterable[Block]) -> str:
    """Return which weights were scored, in words; nothing where no run averaged its weights."""
    if all(block.weights == "raw" for block in blocks):
        return ""
    return "averaged weights" if weights == "averaged" else "raw weights"


def method_notes(spec: ReportSpec, blocks: Sequence[Block]) -> list[str]:
    """Return how to read the tables, in sentences; only what applies to these blocks."""
    level = f"{100 * spec.confidence:g} %"
    pairs = [(block, row.paired) for block in blocks for row in block.rows if row.paired]
    notes = [
        f"Difference: the function's value minus that of {spec.reference}, averaged over the seeds both have. The same "
        "seed gives every function the same initial weights and data order, so differences are paired.",
    ]
    if any(pair.n >= statistics.MIN_SEEDS for _, pair in pairs):
        notes.append(
            f"Interval: {level}, from Student's t of the paired differences, for one comparison at a time. p: "
            "two-sided paired t-test, Holm-corrected over all functions of its column, run or not yet. A function is called "
            f"better or worse only if the corrected p is below {1 - spec.confidence:g}."
        )
    if any(pair.n == 2 for _, pair in pairs):
        notes.append(
            f"Two seeds give an interval (Student's t with one degree of freedom) but no verdict: that takes "
            f"{statistics.MIN_SEEDS}."
        )
    single = [(block, pair) for block, pair in pairs if pair.n == 1]
    if any(pair.interval for _, pair in single):
        notes.append(
            f"Single runs: the interval ({level}, Newcombe's from two Wilson intervals) covers the sampling of the "
            "test set alone, not the spread over seeds, so it supports no verdict."
        )
    if without := sorted({block.metric.label for block, pair in single if pair.interval is None}):
        notes.append(
            f"Single runs of {', '.join(without)} have no interval: the metric is no share of independent test "
            "samples, so no binomial interval applies."
        )
    notes += [
        "P(better): share of the common seeds in which the function is better than the reference, ties counting half.",
        "Not separable: the data do not show a difference; they do not show that there is none. The number of seeds "
        f"that would be needed is for {100 * statistics.POWER:g} % power at the corrected level, if the observed mean "
        "and spread of the differences were the true ones: an order of magnitude, no more.",
        "Bold: the best value of a column, only where it is separable from every other one (paired t-tests, Holm).",
    ]
    return notes


def gap_notes(spec: ReportSpec, runs: Runs) -> list[str]:
    """Return one sentence for each planned run without a result, runs that are simply missing taken together."""
    notes = []
    missing = [gap for gap in runs.gaps if gap.status == "missing"]
    for gap in runs.gaps:
        if gap.status != "missing":
            state = "failed" if gap.status == "failed" else "was trained but not tested"
            error = f": {gap.error}" if gap.error else ""
            notes.append(f"{place_text(spec, gap.place)}, {gap.activation}, seed {gap.seed} {state}{error}")
    if missing:
        notes.append(f"{len(missing)} planned run{'s have' if len(missing) > 1 else ' has'} no result yet.")
    if runs.duplicates:
        notes.append(f"{runs.duplicates} further finished records of the same runs were left out; the latest counts.")
    return notes


def ranks_lines(ranks: statistics.Ranks) -> list[str]:
    """Return the average ranks in words."""
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.average.items())
    p = "undefined (all tied)" if ranks.p != ranks.p else p_text(ranks.p)
    lines = [
        f"Average rank over {ranks.rows} data rows (1 is best): {order}.",
        f"Friedman's test: p {p if p.startswith('<') else f'= {p}'}. Nemenyi's critical difference at "
        f"{ranks.alpha:g}: {ranks.critical_difference:.2f} ranks.",
    ]
    if ranks.p < ranks.alpha:
        together = "; ".join(" – ".join(group) for group in ranks.groups) or "none"
        lines.append(f"Not separable from one another: {together}.")
    else:
        lines.append("Friedman's test does not find the functions to differ, so no pair is told apart.")
    return lines


def ordering_text(order: Ordering | None) -> str:
    """Return how the paper's order fared, in words."""
    if order is None:
        return "Fewer than two functions in common: no order to compare."
    tau = "undefined" if order.tau != order.tau else number(order.tau, signed=True)
    text = f"The paper's order holds in {order.kept} of {order.pairs} pairs (Kendall's tau {tau})."
    if order.reversed:
        text += f" The paper puts {_pairs_text(order.reversed)}; here it is the other way round, "
        text += f"separably for {_pairs_text(order.contradicted)}." if order.contradicted else "separably for none."
    return text


def _pairs_text(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{better} before {worse}" for better, worse in pairs)
