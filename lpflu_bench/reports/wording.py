"""Numbers, verdicts and methods as a report words them, whatever its format."""

from collections.abc import Iterable

from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.inference.rule import MIN_SEEDS
from lpflu_bench.inference.verdicts import Interval, Verdict, Word, judge
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.replication import Finding, ReplicatedColumn
from lpflu_bench.reports.runs import place_text
from lpflu_bench.reports.spec import ReportSpec

PAPER_NOTE = (
    "Compared are differences to the reference, in the same runs, not lone values. Confirmed: the interval shows a "
    "difference of the published sign; contradicted: one of the other sign; undecided: neither. The published values are "
    "single runs without a stated seed."
)
RANKS_NOTE = (
    "A statement about the rows together, on networks of their own; it says nothing about any single column, whose "
    "verdicts are above."
)


def number(value: float | None, *, signed: bool = False) -> str:
    """Return a number as the tables print it: two decimals, a real minus sign, a dash for none."""
    if value is None or value != value:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return text.replace("-", "−")


def interval_text(interval: Interval | None) -> str:
    """Return ``[low, high]`` of a difference."""
    return "–" if interval is None else f"[{number(interval.low, signed=True)}, {number(interval.high, signed=True)}]"


def mean_text(row: Row) -> str:
    """Return ``mean ± sd``, the mean alone for a single run."""
    return number(row.mean) + (f" ± {number(row.sd)}" if row.sd is not None else "")


def difference_text(row: Row) -> str:
    """Return the difference to the reference with its sign."""
    return number(row.comparison.difference, signed=True) if row.comparison else "–"


def row_notes(row: Row, column: Column) -> list[str]:
    """Return what a reader must know about a row, what the single images say included."""
    notes = list(row.notes)
    if row.for_images is not None:
        verdict = judge(row.for_images, lower_is_better=column.score.lower_is_better, margin=column.margin)
        notes.append(f"for new images too: {verdict.word} {interval_text(row.for_images)}")
    if (two := row.two_networks) is not None:
        test = "" if two.p is None else f", McNemar p = {two.p:.3f}"
        notes.append(
            f"these two trained networks on the same images: {number(two.difference, signed=True)} "
            f"{interval_text(two.interval)}{test}; nothing about the functions"
        )
    return notes


def verdict_class(verdict: Verdict) -> str:
    """Return a verdict's word as a CSS class."""
    return verdict.word.replace(" ", "-")


def weights_text(column: Column, columns: Iterable[Column]) -> str:
    """Return which weights were scored, in words; nothing where no run averaged its weights."""
    if all(other.weights == "raw" for other in columns):
        return ""
    return "averaged weights" if column.weights == "averaged" else "raw weights"


def column_title(column: Column, analysis: Analysis) -> str:
    """Return where and what a column is: ``cifar100, optimizer adam: top-1 error (%), raw weights``."""
    words = weights_text(column, analysis.columns)
    return f"{place_text(analysis.spec, column.place)}: {column.score.title}" + (f", {words}" if words else "")


def level_text(spec: ReportSpec) -> str:
    """Return the confidence that the intervals of a column have together."""
    return f"{100 * (1 - spec.rule.level):g} %"


_KINDS = [
    (Word.BETTER, False, "{names} {are} better than {reference}"),
    (Word.BETTER, True, "{names} {are} better than {reference}, by less than the margin"),
    (Word.WORSE, False, "{names} {are} worse than {reference}"),
    (Word.WORSE, True, "{names} {are} worse than {reference}, by less than the margin"),
    (Word.EQUIVALENT, False, "{names} {are} equivalent to {reference} within ±{margin}"),
    (Word.UNDECIDED, False, "{names} {are} undecided"),
    (Word.NOT_JUDGED, False, "{names} {are} not judged"),
    (Word.NONE, False, "{names} {have} no verdict"),
]


_MAX_WITH_INTERVALS = 6
"""A sentence about more functions than this names them alone; their intervals are in the picture and the table."""


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def sentences(column: Column) -> list[tuple[Word, str]]:
    """Return what a column decides, one sentence for each kind of verdict, what is decided first."""
    said: list[tuple[Word, str]] = []
    if column.best is not None:
        said.append((Word.BETTER, f"{column.best} is better than every other function."))
    for word, below, form in _KINDS:
        rows = [row for row in column.rows if (row.verdict.word, row.verdict.below_margin) == (word, below)]
        if not rows:
            continue
        with_interval = word in (Word.BETTER, Word.WORSE) and len(rows) <= _MAX_WITH_INTERVALS
        names = _listed(
            f"{row.activation} ({difference_text(row)} {interval_text(row.interval)})"
            if with_interval
            else row.activation
            for row in rows
        )
        sentence = form.format(
            names=names,
            reference=column.reference,
            margin=number(column.margin),
            are="are" if len(rows) > 1 else "is",
            have="have" if len(rows) > 1 else "has",
        )
        said.append((word, f"{sentence}."))
    return said


def method_notes(analysis: Analysis) -> list[str]:
    """Return how to read the tables, in sentences; only what applies to these columns."""
    spec, columns = analysis.spec, analysis.columns
    rows = [row for column in columns for row in column.rows]
    level = level_text(spec)
    notes = [
        f"Difference: the function's value minus that of {spec.reference}, averaged over the seeds both have. The same "
        "seed gives every function the same initial weights and data order, so differences are paired.",
    ]
    if any(row.interval for row in rows):
        notes.append(
            f"All intervals of a column hold together: with new seeds, {level} of such studies have none wrong. They hold "
            'for this test set, unless a row says "for new images too". Better or worse: the interval excludes 0. '
            "Everything else that is said, bold included, "
            "follows from these intervals."
        )
        notes.append(
            "An interval is as wide as the function's own noise over seeds makes it, or the noise that the functions "
            "share, whichever is larger."
        )
    if len(columns) > 1 and any(row.interval for row in rows):
        places = len({column.place for column in columns})
        several = any(not column.main or column.weights == "averaged" for column in columns)
        if several:
            notes.append(
                "Of the scores of a place the main one is judged first; the next ones, in their declared order, judge a "
                "function only where the one before showed a difference."
            )
        if places > 1:
            notes.append(
                f"Each of the {places} places has its own intervals: the level holds for each of them, not for all at once."
            )
    if spec.rule.looks:
        looks = ", ".join(map(str, spec.rule.looks))
        notes.append(
            f"Seeds were added in steps, with looks at {looks} seeds. What later looks may spend of the level is already "
            "paid for, so a verdict holds at whichever look its function stopped."
        )
    if margins := {column.score.label: column.margin for column in columns if column.margin is not None}:
        stated = ", ".join(f"{label} ±{number(margin)}" for label, margin in margins.items())
        notes.append(f"Equivalent: the whole interval lies within the declared margin ({stated}).")
    if any(row.verdict.word == Word.UNDECIDED for row in rows):
        notes.append(
            "Undecided: the runs do not show a difference; they do not show that there is none. The number of seeds is "
            "for a true difference of the size named, at 80 % power, from the noise of the runs; never from the observed "
            "difference."
        )
    if any(row.verdict.word == Word.NONE for row in rows):
        notes.append(f"A verdict takes at least {MIN_SEEDS} seeds that a function has in common with {spec.reference}.")
    if any(row.diverged for row in rows):
        notes.append(
            "A seed whose loss became infinite or NaN counts with the worst value that its score can take; the noise that "
            "the functions share is taken from the others."
        )
    notes.append("Bold: better than every other function of its column, by the same intervals.")
    return notes


def noise_note(column: Column) -> str:
    """Return which functions are noisier than what the functions share; nothing where none is or nothing is shared."""
    rows = [row for row in column.rows if row.comparison and row.interval]
    own = [row.activation for row in rows if row.comparison and row.comparison.own_noise]
    if not own or len(own) == len(rows):
        return ""
    return f"Noise: the functions' shared one; own noise is larger for {', '.join(own)}."


def gap_notes(analysis: Analysis) -> list[str]:
    """Return one sentence for each planned run without a result, runs that are simply missing taken together."""
    spec, runs = analysis.spec, analysis.runs
    notes = []
    missing = [gap for gap in runs.gaps if gap.status == "missing"]
    for gap in runs.gaps:
        if gap.status != "missing":
            state = {"failed": "diverged" if gap.diverged else "failed", "fitted": "was trained but not tested"}
            error = f": {gap.error}" if gap.error else ""
            said = state.get(gap.status, gap.status)
            notes.append(f"{place_text(spec, gap.place)}, {gap.activation}, seed {gap.seed} {said}{error}")
    if missing and spec.rule.looks:
        notes.append(f"{len(missing)} later seeds were not run: decided before, or their look is still to come.")
    elif missing:
        notes.append(f"{len(missing)} planned run{'s have' if len(missing) > 1 else ' has'} no result yet.")
    if len(runs.sources) > 1:
        notes.append(
            f"The runs are of {len(runs.sources)} different sources of this package: {', '.join(runs.sources)}."
        )
    if runs.shared_gpu:
        notes.append(
            "Several runs were trained on one GPU at the same time: their images/s and training times are no measure of a "
            "function's cost, and no figure shows them; `lpflu-bench speed` measures it."
        )
    if runs.duplicates:
        notes.append(f"{runs.duplicates} further finished records of the same runs were left out; the latest counts.")
    return notes


def ranks_lines(ranks: Ranks) -> list[str]:
    """Return the average ranks in words."""
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.average.items())
    p = "undefined (all tied)" if ranks.p != ranks.p else "< 0.001" if ranks.p < 0.001 else f"= {ranks.p:.3f}"
    lines = [
        f"Average rank over {ranks.rows} rows with trained networks of their own (1 is best): {order}.",
        f"Friedman's test: p {p}. Nemenyi's critical difference at {ranks.alpha:g}: {ranks.critical_difference:.2f} ranks.",
    ]
    if ranks.p < ranks.alpha:
        together = "; ".join(" – ".join(group) for group in ranks.groups) or "none"
        lines.append(f"Not told apart by their ranks: {together}.")
    else:
        lines.append("Friedman's test does not find the ranks to differ, so no pair is told apart by them.")
    return [*lines, RANKS_NOTE]


def replication_sentence(item: ReplicatedColumn, reference: str) -> str:
    """Return how many published differences were confirmed, contradicted and are undecided."""
    if item.differing:
        return "Not compared: the runs' settings are not the published ones."
    parts = []
    for finding in (Finding.CONFIRMED, Finding.CONTRADICTED, Finding.UNDECIDED):
        if names := [pair.activation for pair in item.pairs if pair.finding == finding]:
            parts.append(f"{finding}: {', '.join(names)}")
    return f"Published differences to {reference}: {'; '.join(parts)}."
