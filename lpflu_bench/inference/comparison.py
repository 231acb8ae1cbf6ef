"""Compares functions with a reference over paired seeds: one set of intervals that hold together."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from lpflu_bench.inference.critical import half_widths, shared_variance
from lpflu_bench.inference.rule import MIN_SEEDS
from lpflu_bench.inference.verdicts import Interval, Verdict, Word, judge

Values = Mapping[str, Mapping[int, float]]
"""Function -> seed -> score."""


@dataclass(frozen=True)
class Comparison:
    """A function's difference from the reference.

    Attributes:
        n: paired seeds.
        difference: mean of function - reference over them, in the score's unit.
        sd: standard deviation of the differences (n - 1), nan for one seed.
        half_width: how far the interval reaches to each side; nan where there is none.
        noise: standard deviation of a difference that the interval is made of: the function's own, or what the
            functions share, whichever gives the wider interval.
        reason: why there is no interval.
    """

    n: int
    difference: float
    sd: float
    half_width: float = math.nan
    noise: float = math.nan
    reason: str = ""

    @property
    def interval(self) -> Interval | None:
        """The simultaneous interval of the difference."""
        if self.reason:
            return None
        return Interval(self.difference - self.half_width, self.difference + self.half_width)

    @property
    def own_noise(self) -> bool:
        """Whether the interval is made of the function's own noise."""
        return self.sd == self.noise

    def verdict(self, *, lower_is_better: bool, margin: float | None = None) -> Verdict:
        """Return what the interval says."""
        interval = self.interval
        if interval is None:
            return Verdict(Word.NONE, reason=self.reason)
        return judge(interval, lower_is_better=lower_is_better, margin=margin)


def _paired(values: Values, reference: str) -> dict[str, np.ndarray]:
    """Return every other function's differences on the seeds it has in common with the reference."""
    base = values.get(reference, {})
    paired = {}
    for name, scores in values.items():
        common = sorted(scores.keys() & base.keys())
        if name != reference and common:
            paired[name] = np.array([scores[seed] - base[seed] for seed in common])
    return paired


def compare(
    values: Values,
    reference: str,
    *,
    family: int,
    level: float | Mapping[str, float] = 0.05,
    unsteady: Collection[str] = (),
) -> dict[str, Comparison]:
    """Compare each function with the reference, with intervals that hold together.

    An interval is as wide as its own differences make it, or as what all but the noisiest function share, whichever is
    wider (:func:`~lpflu_bench.inference.critical.half_widths`): sharing makes few seeds decide, the maximum keeps the
    level when one function is noisier.

    Args:
        values: scores by function and seed; the same seed is the same initial weights and data order.
        reference: the function that the others are compared with.
        family: comparisons of the study, those without a result included; never fewer than there are here.
        level: chance that any interval misses its true difference; or that of each function's look (two functions
            are compared at the lower one's), with which those that had no look yet have no interval.
        unsteady: functions whose spread says nothing about the others' (a run diverged): they give nothing to the
            shared variance.

    Returns:
        One comparison for each function that has a seed in common with the reference.
    """
    paired = _paired(values, reference)
    family = max(family, len(paired), 1)
    scale = max((abs(v) for scores in values.values() for v in scores.values()), default=0.0)
    sds = {name: float(d.std(ddof=1)) if len(d) > 1 else math.nan for name, d in paired.items()}
    sds = {name: 0.0 if sd <= 1e-9 * scale else sd for name, sd in sds.items()}  # percentages repeat exactly
    sharing = [name for name, sd in sds.items() if not math.isnan(sd) and name not in unsteady]
    counts = np.array([len(paired[name]) for name in sharing])
    shared = float(shared_variance(np.array([sds[name] for name in sharing]) ** 2, counts))
    result = {}
    for name, differences in paired.items():
        n, sd, mean = len(differences), sds[name], float(differences.mean())
        at = level if isinstance(level, float) else min(level.get(name, 0.0), level.get(reference, 0.0))
        if at == 0:
            result[name] = Comparison(n, mean, sd, reason="the first look is still to come")
        elif n < MIN_SEEDS:
            seeds = f"{n} paired seed{'s' if n > 1 else ''}"
            result[name] = Comparison(n, mean, sd, reason=f"{seeds}; at least {MIN_SEEDS} are needed")
        elif sd == shared == 0:
            why = "the runs are identical" if mean == 0 else "no spread to judge by"
            result[name] = Comparison(n, mean, sd, reason=why)
        else:
            widths, own = half_widths(
                np.array([sd**2]),
                np.array([n]),
                level=at,
                family=family,
                shared=np.array(shared),
                observed=len(sharing),
            )
            result[name] = Comparison(n, mean, sd, float(widths[0]), sd if own[0] else math.sqrt(shared))
    return result


def best(
    values: Values,
    reference: str,
    *,
    lower_is_better: bool,
    family: int,
    level: float | Mapping[str, float] = 0.05,
    unsteady: Collection[str] = (),
) -> str | None:
    """Return the function that is better than every other one, if there is one.

    The same intervals with that function as the reference; all of them lie on its side, and so does its interval
    against the study's own reference. Functions of the family without a result count as undecided.
    """
    measured = [name for name, scores in values.items() if scores]
    if len(measured) < family + 1 or len(measured) < 2:
        return None
    sign = 1 if lower_is_better else -1
    against: dict[str, Comparison] | None = None
    for name in measured:
        paired = _paired(values, name)
        if len(paired) < len(measured) - 1 or any(sign * d.mean() <= 0 for d in paired.values()):
            continue
        others = compare(values, name, family=family, level=level, unsteady=unsteady)
        won = all(c.verdict(lower_is_better=lower_is_better).word == Word.WORSE for c in others.values())
        if won and name != reference:
            against = compare(values, reference, family=family, level=level, unsteady=unsteady)
            won = against[name].verdict(lower_is_better=lower_is_better).word == Word.BETTER
        if won:
            return name
    return None
