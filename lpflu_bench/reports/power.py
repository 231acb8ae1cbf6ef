"""What a study with a given number of seeds can show, in words, before they are run."""

from statistics import fmean

from lpflu_bench.inference.design import (
    detectable_difference,
    equivalence_margin,
    seeds_text,
    seeds_wanted,
)
from lpflu_bench.inference.rule import Rule
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.runs import place_text


def pilot_noise(analysis: Analysis) -> dict[str, tuple[float, str, str]]:
    """Return place -> (sd of a paired difference, name and label of the main score), of the places that have enough seeds.

    The mean over the functions of what their intervals are made of.
    """
    noise = {}
    for column in analysis.main_columns:
        found = [row.comparison.noise for row in column.rows if row.comparison and row.interval]
        if found:
            noise[place_text(analysis.spec, column.place)] = (fmean(found), column.score.name, column.score.label)
    return noise


def power_lines(rule: Rule, seeds: int, family: int, sd: float, margin: float | None) -> list[str]:
    """Return what this many seeds can show.

    Args:
        rule: of the study.
        seeds: planned for each function, at least 2.
        family: comparisons with the reference.
        sd: standard deviation of a paired difference, in the score's unit.
        margin: within which differences do not matter.
    """
    level = rule.level
    size = detectable_difference(sd, seeds, family, level)
    lines = [
        f"{seeds} seeds decide a true difference of {size:.2f} with 80 % probability ({family} comparisons, "
        f"{100 * (1 - level):g} % intervals that hold together)"
    ]
    more = [n for n in (3, 5, 8, 12, 20) if n != seeds]
    lines.append("; ".join(f"{n} seeds: {detectable_difference(sd, n, family, level):.2f}" for n in more))
    if margin is None:
        least = equivalence_margin(sd, seeds, family, level)
        lines.append(f"no margin is declared; {seeds} seeds could show equivalence within ±{least:.2f}")
    else:
        differs = seeds_text(seeds_wanted(sd, margin, family, level))
        same = seeds_text(seeds_wanted(sd, margin, family, level, equivalence=True))
        lines.append(
            f"margin ±{margin:g}: {differs} seeds decide a difference of that size, {same} show that there is none (80 %)"
        )
    return lines
