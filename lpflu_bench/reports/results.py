"""A study's result rows: every function at every place, compared with the reference."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lpflu_bench.reports import statistics
from lpflu_bench.reports.runs import Place, Runs, declared_scores, metric_value
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.scores import Score, main_score


@dataclass(frozen=True)
class Row:
    """One function at one place under one metric.

    Attributes:
        activation: the function.
        seeds: those with a result, in order.
        values: the metric, in the order of ``seeds``.
        mean: over all its seeds; None without any.
        sd: with n - 1; None below two seeds.
        interval: of the mean, or of the test set for a single run of a binomial metric.
        paired: the difference to the reference on common seeds; None for the reference and where there is none.
        p_holm: Holm-corrected over the functions of the block.
        verdict: in words.
        needed: the number of seeds named in the verdict, if one is.
        notes: what a reader must know about this row.
    """

    activation: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float | None
    sd: float | None
    interval: statistics.Interval | None
    paired: statistics.Paired | None
    p_holm: float | None
    verdict: str
    needed: int | None
    notes: tuple[str, ...]

    @property
    def judgement(self) -> str:
        """The verdict's kind: ``better``, ``worse``, ``not separable``, ``reference`` or ``no result``."""
        return self.verdict.partition(" (")[0]


@dataclass(frozen=True)
class Block:
    """The functions at one place, with one kind of weights, under one metric: a family of comparisons.

    Attributes:
        place: task and setting.
        weights: ``raw`` or ``averaged``.
        metric: the metric.
        main: whether it is its task's main metric.
        rows: one a function, in the study's order.
        best: the function that is separable from every other one and better, if there is one.
        reference: the function the others are compared with.
    """

    place: Place
    weights: str
    metric: Score
    main: bool
    rows: tuple[Row, ...]
    best: str | None
    reference: str

    @property
    def scores(self) -> dict[str, dict[int, float]]:
        """Function -> seed -> value, functions with a result only."""
        return {row.activation: dict(zip(row.seeds, row.values, strict=True)) for row in self.rows if row.seeds}


def binomial_samples(record: Mapping[str, object], metric: Score) -> int | None:
    """Return the number of test samples if the score is a share of them, so that binomial intervals apply."""
    samples = record.get("num_test_samples")
    return samples if metric.share and isinstance(samples, int) and samples > 0 else None


def result_blocks(spec: ReportSpec, runs: Runs) -> list[Block]:
    """Compare the functions of a study, place by place and metric by metric, in the study's order."""
    blocks = []
    for place in runs.places:
        records = runs.records(place)
        for weights in ("raw", "averaged"):
            declared = declared_scores(records)
            metrics = [
                declared[name]
                for name in spec.metrics
                if name in declared and any(metric_value(record, name, weights) is not None for record in records)
            ]
            blocks += [
                _block(spec, runs, place, weights, metric, main=metric == main_score(metrics)) for metric in metrics
            ]
    return blocks


def _block(spec: ReportSpec, runs: Runs, place: Place, weights: str, metric: Score, *, main: bool) -> Block:
    scores: dict[str, dict[int, float]] = {}
    lost: dict[str, list[int]] = {}
    samples: set[int | None] = set()
    for activation in runs.activations:
        scores[activation] = {}
        for seed, record in sorted(runs.finished.get((place, activation), {}).items()):
            value = metric_value(record, metric.name, weights)
            if value is None:
                lost.setdefault(activation, []).append(seed)
            else:
                scores[activation][seed] = value
                samples.add(binomial_samples(record, metric))
    one_test_set = samples.pop() if len(samples) == 1 else None
    reference = scores.get(spec.reference, {})
    paired: dict[str, statistics.Paired | None] = {}
    for activation, values in scores.items():
        common = sorted(values.keys() & reference.keys())
        paired[activation] = (
            statistics.compare_paired(
                [values[seed] for seed in common],
                [reference[seed] for seed in common],
                lower_is_better=metric.lower_is_better,
                confidence=spec.confidence,
                samples=one_test_set,
            )
            if common and activation != spec.reference
            else None
        )
    tested = [pair.p if pair else None for pair in paired.values()]
    # All functions of the study count, also those whose runs are not there yet: a verdict must not turn when they come.
    family = sum(activation != spec.reference for activation in scores)
    adjusted = dict(zip(paired, statistics.holm(tested, family), strict=True))
    rows = []
    for activation, values in scores.items():
        seeds = tuple(values)
        numbers = tuple(values.values())
        pair = paired[activation]
        interval = statistics.mean_interval(numbers, spec.confidence)
        if len(numbers) == 1 and one_test_set:
            interval = statistics.wilson_interval(numbers[0], one_test_set, spec.confidence)
        needed = None
        if not numbers:
            words = "no result"
        elif activation == spec.reference:
            words = "reference"
        elif pair is None:
            words = "no common seed with the reference" if reference else "no result of the reference"
        else:
            words, needed = statistics.verdict(
                pair,
                adjusted[activation],
                lower_is_better=metric.lower_is_better,
                alpha=1 - spec.confidence,
                family=family,
            )
        rows.append(
            Row(
                activation=activation,
                seeds=seeds,
                values=numbers,
                mean=float(np.mean(numbers)) if numbers else None,
                sd=float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
                interval=interval,
                paired=pair,
                p_holm=adjusted[activation],
                verdict=words,
                needed=needed,
                notes=tuple(_notes(runs, place, activation, seeds, pair, lost.get(activation, []), reference)),
            )
        )
    measured = {name: values for name, values in scores.items() if values}
    best = statistics.separable_best(measured, lower_is_better=metric.lower_is_better, confidence=spec.confidence)
    return Block(place, weights, metric, main, tuple(rows), best, spec.reference)


def _notes(
    runs: Runs,
    place: Place,
    activation: str,
    seeds: tuple[int, ...],
    pair: statistics.Paired | None,
    lost: list[int],
    reference: Mapping[int, float],
) -> list[str]:
    notes = []
    gaps = [gap for gap in runs.gaps if gap.place == place and gap.activation == activation]
    for status, words in (("failed", "failed"), ("fitted", "not tested"), ("missing", "missing")):
        if missing := [str(gap.seed) for gap in gaps if gap.status == status]:
            notes.append(f"seed {', '.join(missing)} {words}")
    if lost:
        notes.append(f"seed {', '.join(map(str, lost))} without a finite value")
    if pair is not None and set(seeds) != set(reference):
        common = [str(seed) for seed in seeds if seed in reference]
        notes.append(f"paired on common seed{'s' if len(common) > 1 else ''} {', '.join(common)}")
    return notes


def results_frame(spec: ReportSpec, blocks: list[Block]) -> pd.DataFrame:
    """Return one line for each function, place, kind of weights and metric, with everything that was computed."""
    lines = []
    for block in blocks:
        for row in block.rows:
            pair, interval = row.paired, row.interval
            difference = pair.interval if pair else None
            lines.append(
                {
                    "task": block.place.task,
                    **dict(zip(spec.axes, block.place.setting, strict=True)),
                    "weights": block.weights,
                    "metric": block.metric.name,
                    "direction": block.metric.direction,
                    "unit": block.metric.unit,
                    "activation": row.activation,
                    "n": len(row.seeds),
                    "seeds": " ".join(map(str, row.seeds)),
                    "mean": row.mean,
                    "sd": row.sd,
                    "low": interval and interval.low,
                    "high": interval and interval.high,
                    "interval": interval and interval.method,
                    "reference": block.reference,
                    "n_paired": pair.n if pair else 0,
                    "difference": pair and pair.difference,
                    "difference_sd": pair.sd if pair and pair.n > 1 else None,
                    "difference_low": difference and difference.low,
                    "difference_high": difference and difference.high,
                    "difference_interval": difference and difference.method,
                    "p": pair and pair.p,
                    "p_holm": row.p_holm,
                    "probability_of_improvement": pair and pair.improvement,
                    "verdict": row.verdict,
                    "seeds_needed": row.needed if row.needed and row.needed <= statistics.MAX_SEEDS else None,
                    "separable_best": row.activation == block.best,
                    "notes": "; ".join(row.notes),
                }
            )
    return pd.DataFrame(lines, dtype=object)


def study_ranks(spec: ReportSpec, blocks: list[Block]) -> statistics.Ranks | str:
    """Rank the functions over the study's data rows, or say why that would mean nothing.

    A data row is a place with its task's main metric, averaged over seeds: further seeds and further metrics of the
    same runs are no further evidence about where a function works. A row counts if every function has a result there.
    """
    main = [block for block in blocks if block.main and block.weights == "raw"]
    names = [row.activation for row in main[0].rows] if main else []
    names = [name for name in names if any(name in block.scores for block in main)]
    complete = [block for block in main if all(name in block.scores for name in names)]
    rows, functions = statistics.MIN_RANK_ROWS, statistics.MIN_RANK_FUNCTIONS
    if len(complete) < rows or len(names) < functions:
        return (
            f"No average rank: it takes at least {rows} data rows (tasks and settings in which every function has a "
            f"result) and {functions} functions; here are {len(complete)} and {len(names)}. With fewer, Friedman's "
            "test and the critical difference cannot tell functions apart."
        )
    means = [[float(np.mean(list(block.scores[name].values()))) for name in names] for block in complete]
    directions = [block.metric.lower_is_better for block in complete]
    return statistics.average_ranks(np.asarray(means), names, directions, 1 - spec.confidence)
