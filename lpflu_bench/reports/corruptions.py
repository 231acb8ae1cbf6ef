"""Corruption errors of a study's functions, as the benchmark of corruptions defines them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lpflu_bench.records import Record
from lpflu_bench.reports.sections import Section, TextTable, trainings_by_setting
from lpflu_bench.scores import main_score, recorded_scores

_KEY = "data.test_corruption"
_LABELS = ("setting", "activation", "seeds")
MEAN = "mean"


def corruption_errors(records: Sequence[Record], reference: str) -> list[dict[str, Any]]:
    """Return the corruption errors against the reference: a row for each setting of the training and function.

    ``CE = 100 sum_s E / sum_s E_ref`` of one corruption over its severities s (Hendrycks and Dietterich, 2019), E the main
    score as an error (100 - score where higher is better); :data:`MEAN` is the mean over the corruptions, the mCE. Ratios
    are of the same seed, and averaged over the seeds that function and reference both have. The reference has 100.

    Args:
        records: finished ones; those without tests under corruptions are left out.
        reference: the function that the others are compared with.
    """
    if not any(_KEY in test["conditions"] for record in records for test in record["tested"]):
        return []
    rows = []
    for setting, trainings in trainings_by_setting(r for r in records if r["status"] == "finished").items():
        runs = {run: found for run, group in trainings.items() if (found := _errors(group))}
        for activation in dict.fromkeys(name for name, _ in runs):
            ratios: dict[str, list[float]] = defaultdict(list)
            seeds = [seed for name, seed in runs if name == activation and (reference, seed) in runs]
            for seed in seeds:
                for name, ratio in _ratios(runs[activation, seed], runs[reference, seed]).items():
                    ratios[name].append(ratio)
            if seeds:
                means = {name: fmean(values) for name, values in ratios.items()}
                rows.append({"setting": setting, "activation": activation, "seeds": len(seeds), **means})
    return rows


def _errors(group: Sequence[Record]) -> dict[str, dict[int, float]]:
    """Return the error in percent of one training's tests, by corruption and severity."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    score = main_score(recorded_scores(group[0]).values())
    for test in (test for record in group for test in record["tested"]):
        corruption = test["conditions"].get(_KEY)
        if corruption and set(test["conditions"]) == {_KEY} and test["weights"] == "raw":
            value = test["metrics"][score.name]
            found[corruption["name"]][corruption["severity"]] = value if score.lower_is_better else 100 - value
    return found


def _ratios(own: Mapping[str, Mapping[int, float]], reference: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    ratios = {}
    for name, by_severity in own.items():
        common = [severity for severity in by_severity if severity in reference.get(name, {})]
        below = sum(reference[name][severity] for severity in common) if common else 0.0
        if below > 0:
            ratios[name] = 100 * sum(by_severity[severity] for severity in common) / below
    return {MEAN: fmean(ratios.values()), **ratios} if ratios else {}


def corruption_section(records: Sequence[Record], reference: str) -> Section | None:
    """Return the corruption errors as a section; None where nothing was tested under corruptions."""
    rows = corruption_errors(records, reference)
    if not rows:
        return None
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in _LABELS]
    lines = [
        [*(str(row[label]) for label in _LABELS), *(f"{row[name]:.1f}" if name in row else "–" for name in names)]
        for row in rows
    ]
    return Section(
        "corruptions",
        "Corruption errors",
        f"Percent of {reference}'s error, summed over the severities, of the same seed; mean: over the corruptions (mCE). "
        "Below 100 is better.",
        [TextTable("", ["setting", "function", "seeds", *(name.replace("_", " ") for name in names)], lines, texts=2)],
        [{name: row.get(name) for name in (*_LABELS, *names)} for row in rows],
    )
