"""The analysis of a study: every function at every place judged once, by one rule. Renderers only read it."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lpflu_bench.errors import UserError
from lpflu_bench.inference.comparison import Comparison, best, compare
from lpflu_bench.inference.design import seeds_text, seeds_wanted
from lpflu_bench.inference.images import with_new_images
from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.inference.sequential import last_looks
from lpflu_bench.inference.verdicts import Verdict, Word
from lpflu_bench.records import WEIGHTS, Record, Weights
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.images import ImageEvidence, Load
from lpflu_bench.reports.ranking import study_ranks
from lpflu_bench.reports.replication import Replication, replicate
from lpflu_bench.reports.runs import Place, Runs, collect, metric_value
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.scores import Score, main_score
from lpflu_bench.text import nearest


@dataclass(frozen=True)
class Analysis:
    """Everything that a report says.

    Attributes:
        spec: what the report is about.
        runs: what was planned, what is there, what is missing.
        records: every record shown, of any status, by place, function and seed.
        columns: every place and score, in the study's order, a place's main score first.
        ranks: average ranks over independent networks, or why there are none.
        replication: the published differences beside the measured ones; None where no table is named.
    """

    spec: ReportSpec
    runs: Runs
    records: tuple[Record, ...]
    columns: tuple[Column, ...]
    ranks: Ranks | str
    replication: Replication | None

    @property
    def main_columns(self) -> tuple[Column, ...]:
        """The columns that verdicts in words and figures are about."""
        return tuple(column for column in self.columns if column.main and column.weights == "raw")


def analyse(spec: ReportSpec, records: Sequence[Record], outcomes: Load | None = None) -> Analysis:
    """Judge a study.

    Everything is judged before anything is left out: what ``spec.only`` hides still counts in every family.

    Args:
        spec: what is compared, and the rule.
        records: of any status, in any order.
        outcomes: gives a record's outcomes of single images, where they are kept.

    Raises:
        UserError: the reference has no result, no record has one of the scores, or the published table cannot be read.
    """
    runs = collect(spec, records)
    _check(spec, runs)
    evidence = ImageEvidence(outcomes) if outcomes else None
    columns = [column for place in runs.places for column in _columns(spec, runs, place, evidence)]
    ranks = study_ranks(spec, runs, [c for c in columns if c.main and c.weights == "raw"])
    shown = tuple(_narrowed(spec, column) for column in columns if _is_shown(spec, column.place))
    replication = replicate(spec, runs, shown)
    kept = runs.narrowed(spec)
    return Analysis(spec, kept, tuple(itertools.chain(*kept.attempts.values())), shown, ranks, replication)


def _check(spec: ReportSpec, runs: Runs) -> None:
    """Refuse what would make a report of nothing, before anything is written.

    Raises:
        UserError: the reference has no result, or no record has one of the scores.
    """
    declared = {name for scores in runs.scores.values() for name in scores}
    if declared and not any(runs.finished.get((place, spec.reference)) for place in runs.places):
        raise UserError(
            f"study {spec.name}: no run of the reference '{spec.reference}' has finished, so there is nothing to compare "
            "with; run it first, or name another reference in the study file"
        )
    missing = [name for name in spec.metrics if name not in declared]
    if missing and declared and all(runs.scores.values()):
        raise UserError(
            f"study {spec.name}: no record has the metric '{missing[0]}'{nearest(missing[0], declared)}; change `metrics`"
        )


def _is_shown(spec: ReportSpec, place: Place) -> bool:
    setting = {"task": place.task, **dict(zip(spec.axes, place.setting, strict=True))}
    return all(setting[name] in wanted for name, wanted in spec.only.items() if name in setting)


def _narrowed(spec: ReportSpec, column: Column) -> Column:
    wanted = spec.only.get("activation")
    if wanted is None:
        return column
    return replace(column, rows=tuple(r for r in column.rows if r.activation in (*wanted, spec.reference)))


def _columns(spec: ReportSpec, runs: Runs, place: Place, evidence: ImageEvidence | None) -> list[Column]:
    """Judge the scores of a place in their declared order, the main one first and raw before averaged weights.

    A function is judged by a score only where the score before showed a difference: so the chance of any false verdict
    over all the scores stays at the level, and the main score keeps all of its power.
    """
    records = runs.records(place)
    declared = runs.scores[place]
    scores = [declared[name] for name in spec.metrics if name in declared]
    if not scores:
        return []
    main = main_score(scores)
    columns: list[Column] = []
    for score in sorted(scores, key=lambda score: score != main):
        for weights in WEIGHTS:
            if any(metric_value(record, score.name, weights) is not None for record in records):
                before = columns[-1] if columns else None
                columns.append(_column(spec, runs, place, weights, score, score == main, before, evidence))
    return columns


class _Values:
    """A score's values at a place, as the rule takes them."""

    def __init__(self, spec: ReportSpec, runs: Runs, place: Place, weights: Weights, score: Score) -> None:
        self.scores: dict[str, dict[int, float]] = {}
        self.lost: dict[str, list[int]] = {}
        self.diverged: dict[str, tuple[int, ...]] = {}
        self.unbounded: set[str] = set()
        self.look: dict[str, int] = {}
        worst = (100.0 if score.lower_is_better else 0.0) if score.unit == "%" else None
        for activation in runs.activations:
            values: dict[int, float] = {}
            for seed, record in sorted(runs.finished.get((place, activation), {}).items()):
                value = metric_value(record, score.name, weights)
                if value is None:
                    self.lost.setdefault(activation, []).append(seed)
                else:
                    values[seed] = value
            self.diverged[activation] = runs.diverged(place, activation)
            if worst is not None:
                values |= dict.fromkeys(self.diverged[activation], worst)
            elif self.diverged[activation]:
                self.unbounded.add(activation)
            self.scores[activation] = dict(sorted(values.items()))
        self.level: float | dict[str, float] = spec.rule.level
        if spec.rule.looks:
            ended = {activation: runs.ended(place, activation) for activation in self.scores}
            looked = last_looks(self.scores, ended, spec.rule)
            self.scores, self.level, self.look = looked.values, looked.level, looked.number


def _column(
    spec: ReportSpec,
    runs: Runs,
    place: Place,
    weights: Weights,
    score: Score,
    main: bool,
    before: Column | None,
    evidence: ImageEvidence | None,
) -> Column:
    values = _Values(spec, runs, place, weights, score)
    margin = spec.rule.margin_of(score.name)
    # All functions of the study count, also those whose runs are not there yet: a verdict must not turn when they come.
    settings: dict[str, Any] = {
        "family": sum(activation != spec.reference for activation in runs.activations),
        "level": values.level,
        "unsteady": [name for name, seeds in values.diverged.items() if seeds],
    }
    compared = compare(values.scores, spec.reference, **settings)
    for name in values.unbounded & compared.keys():
        compared[name] = replace(compared[name], reason=f"diverged, and {score.label} has no worst value to count")
    rows = []
    for activation, scores in values.scores.items():
        comparison = compared.get(activation)
        verdict = _verdict(spec, values.scores, activation, comparison, score, margin)
        if before is not None and comparison is not None and comparison.interval is not None:
            earlier = before.row(activation).verdict
            if not earlier.differs:
                named = before.score.label + (" of averaged weights" if before.weights == "averaged" else "")
                verdict = Verdict(Word.NOT_JUDGED, reason=f"{named}: {earlier.word}")
                comparison = replace(comparison, reason=verdict.reason)
        if verdict.word == Word.UNDECIDED and comparison is not None:
            verdict = replace(verdict, reason=_undecided(spec, comparison, margin, settings["family"]))
        for_images, two_networks = None, None
        if evidence is not None and comparison is not None:
            ours, theirs = (runs.finished.get((place, name), {}) for name in (activation, spec.reference))
            seen = scores.keys() & values.scores[spec.reference].keys()
            ours, theirs = ({seed: found[seed] for seed in seen if seed in found} for found in (ours, theirs))
            level = _level(values.level, activation, spec.reference)
            variance = (
                evidence.variance(ours, theirs, weights, score) if len(ours) == len(theirs) == len(seen) else None
            )
            if variance is not None:
                observed = sum(other.n > 1 for other in compared.values())
                for_images = with_new_images(
                    comparison, variance, level=level, family=settings["family"], observed=observed
                )
            two_networks = evidence.two_networks(ours, theirs, weights, score, comparison.difference, spec.rule.level)
        rows.append(
            Row(
                activation=activation,
                seeds=tuple(scores),
                values=tuple(scores.values()),
                diverged=values.diverged[activation],
                comparison=comparison,
                verdict=verdict,
                for_images=for_images,
                two_networks=two_networks,
                look=values.look.get(activation, 0),
                notes=tuple(_notes(spec, runs, place, activation, values, verdict)),
            )
        )
    winner = best(values.scores, spec.reference, lower_is_better=score.lower_is_better, **settings)
    if before is not None and before.best != winner:
        winner = None
    return Column(place, weights, score, main, tuple(rows), winner, spec.reference, margin)


def _level(level: float | Mapping[str, float], activation: str, reference: str) -> float:
    return level if isinstance(level, float) else min(level.get(activation, 0.0), level.get(reference, 0.0))


def _verdict(
    spec: ReportSpec,
    scores: Mapping[str, Mapping[int, float]],
    activation: str,
    comparison: Comparison | None,
    score: Score,
    margin: float | None,
) -> Verdict:
    if not scores[activation]:
        return Verdict(Word.NONE, reason="no result")
    if activation == spec.reference:
        return Verdict(Word.REFERENCE)
    if comparison is None:
        missing = not scores.get(spec.reference)
        return Verdict(Word.NONE, reason=f"no result of {spec.reference}" if missing else "no common seed")
    return comparison.verdict(lower_is_better=score.lower_is_better, margin=margin)


def _undecided(spec: ReportSpec, comparison: Comparison, margin: float | None, family: int) -> str:
    """Return what an undecided function's seeds cannot tell, and how many could.

    From the noise of the runs, never from the observed difference: that of a few seeds says nothing about the true one.
    """
    size = margin or comparison.half_width
    wanted = max(seeds_wanted(comparison.noise, size, family, spec.rule.level), comparison.n + 1)
    return (
        f"{comparison.n} seeds cannot tell ±{comparison.half_width:.2f} from 0; about {seeds_text(wanted)} would decide "
        f"a difference of {size:.2f}" + (", the margin" if margin else "")
    )


def _notes(spec: ReportSpec, runs: Runs, place: Place, activation: str, values: _Values, verdict: Verdict) -> list[str]:
    notes = []
    if seeds := values.diverged[activation]:
        notes.append(f"seed {', '.join(map(str, seeds))} diverged")
    gaps = [gap for gap in runs.gaps_of(place, activation) if not gap.diverged]
    done = runs.finished.get((place, activation), {})
    if partial := [str(seed) for seed, record in sorted(done.items()) if record["status"] == "partial"]:
        notes.append(f"seed {', '.join(partial)} partial")
    for status in ("failed", "fitted", "interrupted", "partial", "missing"):
        if spec.rule.looks and status == "missing":
            continue  # of a sequential study the later seeds may never be needed
        if missing := [str(gap.seed) for gap in gaps if gap.status == status]:
            notes.append(f"seed {', '.join(missing)} {'not tested' if status == 'fitted' else status}")
    if lost := values.lost.get(activation):
        notes.append(f"seed {', '.join(map(str, lost))} without a finite value")
    own, reference = values.scores[activation], values.scores.get(spec.reference, {})
    common = own.keys() & reference.keys()
    if activation != spec.reference and common and own.keys() - reference.keys():
        notes.append(f"paired on seeds {', '.join(map(str, sorted(common)))}")
    if look := values.look.get(activation):
        notes.append(f"look {look} of {len(spec.rule.looks)}")
    return notes
