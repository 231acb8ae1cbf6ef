"""Corruption errors of a study's functions, as the benchmark of corruptions defines them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from lpflu_bench.records import Record
from lpflu_bench.scores import main_score, recorded_scores

_KEY = "data.test_corruption"
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
    trainings: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record["status"] == "finished":
            trainings[record["trained"]["config_hash"]].append(record)
    errors: dict[str, dict[tuple[str, int], dict[str, dict[int, float]]]] = defaultdict(dict)
    test_axes = _test_axes(trainings.values())
    for group in trainings.values():
        if found := _errors(group):
            labels = _labels(group[0], test_axes)
            run = str(labels.pop("activation")), int(labels.pop("seed"))
            errors[", ".join(str(value) for value in labels.values())][run] = found
    rows = []
    for setting, runs in errors.items():
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


def _test_axes(groups: Iterable[Sequence[Record]]) -> set[str]:
    """Return the labels that differ between tests of one training: they are no settings of a training."""
    differing = set()
    for group in groups:
        cells = [record.get("cell", {}) for record in group]
        differing |= {key for cell in cells for key in cell if any(other.get(key) != cell[key] for other in cells)}
    return differing


def _labels(record: Record, left_out: set[str]) -> dict[str, Any]:
    """Return what a training is called in its study."""
    labels = {key: record["trained"][key] for key in ("task", "network", "activation", "seed")}
    merged = {**labels, **record.get("cell", {})}
    return {key: value for key, value in merged.items() if key not in {"study", "stage", *left_out}}


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


def markdown_table(rows: Sequence[Mapping[str, Any]], reference: str) -> str:
    """Return the rows as a section of Markdown; empty for none."""
    if not rows:
        return ""
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in _LABELS]
    lines = [
        "",
        "## Corruption errors",
        "",
        f"Percent of {reference}'s error, summed over the severities; mean: over the corruptions (mCE). Below 100 is better.",
        "",
        "| " + " | ".join([*_LABELS, *names]) + " |",
        "|" + "---|" * 3 + "---:|" * len(names),
    ]
    for row in rows:
        cells = [f"{row[name]:.1f}" if name in row else "" for name in names]
        lines.append("| " + " | ".join([*(str(row[label]) for label in _LABELS), *cells]) + " |")
    return "\n".join(lines) + "\n"


_LABELS = ("setting", "activation", "seeds")
