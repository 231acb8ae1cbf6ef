"""What the rule of the verdicts promises, in simulated studies: results/inference/*.csv and error.png.

    python benchmarks/inference.py [--studies 40000] [--sequential 2000] [--out results/inference]

Functions with noise of equal and of unequal size, m comparisons with one reference over n paired seeds. `error.csv`: how many
studies make any false claim, in percent. `unbalanced.csv`: the same where some functions have fewer seeds. `looks.csv`: with
many looks. `equivalence.csv`: claims of equivalence where the difference is the margin. `coverage.csv`: studies whose
intervals all cover. `power.csv`: how often a function that differs is decided. `seeds_saved.csv`: sequential studies as
`study run --until decided` runs them, beside a fixed design of as many seeds as they may use. Seeded: the same numbers
on every machine up to rounding. About ten minutes on one core.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lpflu_bench.inference.comparison import compare
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import last_looks, look_levels, stop
from lpflu_bench.inference.simulation import SCENARIOS, draw, judged, scenario
from lpflu_bench.reports.drawing import colours

LEVEL = 0.05
COMPARISONS = (1, 2, 3, 5, 10)
SEEDS = (*range(2, 11), 12)
BATCH = 5000
Row = dict[str, Any]


def percent(hits: int, studies: int) -> Row:
    share = hits / studies
    return {"percent": f"{100 * share:.2f}", "standard_error": f"{100 * np.sqrt(share * (1 - share) / studies):.2f}"}


def batches(rng: np.random.Generator, studies: int, *shape: Any, **settings: Any) -> Iterator[np.ndarray]:
    for start in range(0, studies, BATCH):
        yield draw(rng, min(BATCH, studies - start), *shape, **settings)


def any_claim(differences: np.ndarray, **settings: Any) -> int:
    means, widths = judged(differences, level=LEVEL, **settings)
    return int((np.abs(means) > widths).any(axis=1).sum())


def error(studies: int) -> Iterator[Row]:
    for m in COMPARISONS:
        for name in (*SCENARIOS, "t, 3 degrees of freedom", "outliers"):
            noise = {"t, 3 degrees of freedom": "t3", "outliers": "outliers"}.get(name, "normal")
            sds = scenario(name if noise == "normal" else "equal", m)
            for n in SEEDS:
                rng = np.random.default_rng([m, n])
                hits = sum(any_claim(batch) for batch in batches(rng, studies, m, n, sds, noise=noise))
                yield {"comparisons": m, "noise": name, "seeds": n, **percent(hits, studies)}


def unbalanced(studies: int) -> Iterator[Row]:
    for m in (3, 5, 10):
        for few, many in ((3, 5), (3, 12), (3, 20), (5, 12)):
            for number in (1, 2):
                for factor in (1, 3, 10):
                    rng = np.random.default_rng([m, few, many])
                    sds = [1, *([factor] * number), *([1] * (m - number))]
                    counts = [few] * number + [many] * (m - number)
                    hits = sum(any_claim(b, counts=counts) for b in batches(rng, studies, m, many, sds))
                    yield {
                        "comparisons": m, "functions_with_few": number, "few": few, "many": many,
                        "their_noise": f"{factor}x", **percent(hits, studies),
                    }  # fmt: skip


def looks(studies: int) -> Iterator[Row]:
    for at in ((3, 5, 8, 12), (5, 8, 12), (5, 7, 9, 11, 13, 15)):
        for name in SCENARIOS:
            rng = np.random.default_rng(len(at))
            paid = unpaid = 0
            for batch in batches(rng, studies, 5, at[-1], scenario(name, 5)):
                claimed = np.zeros((2, len(batch)), dtype=bool)
                for n, spent in zip(at, look_levels(LEVEL, at), strict=True):
                    for row, level in enumerate((spent, LEVEL)):
                        means, widths = judged(batch[:, :, :n], level=level)
                        claimed[row] |= (np.abs(means) > widths).any(axis=1)
                paid, unpaid = paid + int(claimed[0].sum()), unpaid + int(claimed[1].sum())
            yield {
                "looks": " ".join(map(str, at)), "noise": name, **percent(paid, studies),
                "percent_without_spending": percent(unpaid, studies)["percent"],
            }  # fmt: skip


def equivalence(studies: int) -> Iterator[Row]:
    for m in (1, 5, 10):
        for n in (3, 5, 8, 12):
            for margin in (1, 2, 3):
                rng = np.random.default_rng([m, n, margin])
                rates = {}
                for effect in (margin, 0):
                    hits = 0
                    for batch in batches(rng, studies, m, n, effects=[effect, *([0] * (m - 1))]):
                        means, widths = judged(batch, level=LEVEL)
                        hits += int((np.abs(means) + widths < margin)[:, 0].sum())
                    rates[effect] = percent(hits, studies)
                yield {
                    "comparisons": m, "seeds": n, "margin_in_sd": margin, **rates[margin],
                    "percent_at_no_difference": rates[0]["percent"],
                }  # fmt: skip


def coverage(studies: int) -> Iterator[Row]:
    for m in (2, 5, 10):
        effects = np.linspace(-2, 4, m)
        for name in SCENARIOS:
            for n in (3, 5, 8, 12):
                hits = 0
                for batch in batches(np.random.default_rng([m, n]), studies, m, n, scenario(name, m), effects):
                    means, widths = judged(batch, level=LEVEL)
                    hits += int((np.abs(means - effects) <= widths).all(axis=1).sum())
                yield {"comparisons": m, "noise": name, "seeds": n, **percent(hits, studies)}


def power(studies: int) -> Iterator[Row]:
    for m in (1, 2, 5, 10):
        for n in (3, 5, 8, 12):
            for effect in (1, 2, 3, 4):
                hits = 0
                for batch in batches(np.random.default_rng([m, n]), studies, m, n, effects=[effect, *([0] * (m - 1))]):
                    means, widths = judged(batch, level=LEVEL)
                    hits += int((means - widths > 0)[:, 0].sum())
                yield {"comparisons": m, "seeds": n, "effect_in_sd": effect, **percent(hits, studies)}


def _sequential(values: np.ndarray, rule: Rule) -> tuple[dict[str, int], set[str]]:
    """Run one study as `study run --until decided` does: each function's seeds, and those that were found to differ."""
    names = [f"f{index}" for index in range(len(values))]
    scores = {name: dict(enumerate(row.tolist())) for name, row in zip(names, values, strict=True)}
    used = dict.fromkeys(names, rule.looks[0])
    while True:
        used[names[0]] = max(used[name] for name in names[1:])
        so_far = {name: {seed: scores[name][seed] for seed in range(used[name])} for name in names}
        looked = last_looks(so_far, {name: range(used[name]) for name in names}, rule)
        compared = compare(looked.values, names[0], family=len(names) - 1, level=looked.level)
        margin = rule.margin_of("")
        open_ = []
        for name in names[1:]:
            verdict = compared[name].verdict(lower_is_better=True, margin=margin)
            at = looked.number[name]
            if not stop(compared[name], verdict, look=at, rule=rule, family=len(names) - 1, margin=margin):
                open_.append((name, at))
        if not open_:
            found = {name for name in names[1:] if compared[name].verdict(lower_is_better=True).differs}
            return used, found
        for name, at in open_:
            used[name] = rule.looks[at]


def seeds_saved(studies: int) -> Iterator[Row]:
    m = 5
    for margin in (None, 2.0):
        rule = Rule(LEVEL, {} if margin is None else {"": margin}, (5, 8, 12))
        for effect in (0.0, 0.5, 1.0, 2.0, 3.0):
            rng = np.random.default_rng(int(10 * effect))
            seeds, runs, found, false, fixed = [], [], 0, 0, 0
            for _ in range(studies):
                values = rng.standard_normal((m + 1, rule.looks[-1]))
                values[1] += effect
                used, differing = _sequential(values, rule)
                seeds.append(used["f1"])
                runs.append(sum(used.values()))
                found += "f1" in differing
                false += bool(differing - ({"f1"} if effect else set()))
                means, widths = judged((values[1:] - values[:1])[None])
                fixed += bool(np.abs(means[0, 0]) > widths[0, 0])
            most = (m + 1) * rule.looks[-1]
            yield {
                "margin_in_sd": margin or "", "effect_in_sd": effect,
                "decided": f"{100 * found / studies:.1f}", "decided_by_fixed_12": f"{100 * fixed / studies:.1f}",
                "any_false_claim": f"{100 * false / studies:.1f}",
                "its_seeds": f"{np.mean(seeds):.2f}", "runs": f"{np.mean(runs):.1f}",
                "runs_saved_percent": f"{100 * (1 - np.mean(runs) / most):.1f}",
            }  # fmt: skip


def draw_error(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the share of studies with a false claim against the number of seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, m in zip(panels, (2, 5, 10), strict=True):
        for name, colour in colours(list(dict.fromkeys(row["noise"] for row in rows))).items():
            mine = [row for row in rows if row["noise"] == name and int(row["comparisons"]) == m]
            seeds, shares = [int(row["seeds"]) for row in mine], [float(row["percent"]) for row in mine]
            axes.plot(seeds, shares, color=colour, marker=".", linewidth=1.2, label=name)
        axes.axhline(100 * LEVEL, color="black", linewidth=0.8, linestyle="--")
        axes.set(title=f"{m} comparisons", xlabel="seeds", ylim=(0, 6))
    panels[0].set_ylabel("studies with any false claim, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=7, title="noise")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=40_000, help="simulated studies for a number")
    parser.add_argument("--sequential", type=int, default=2000, help="sequential studies for a number")
    parser.add_argument("--out", type=Path, default=Path("results/inference"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tables = {make.__name__: make for make in (error, unbalanced, looks, equivalence, coverage, power, seeds_saved)}
    for name, make in tables.items():
        studies = options.sequential if name == "seeds_saved" else options.studies
        rows = list(track(make(studies), description=name))
        with (options.out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        if name == "error":
            draw_error(rows, options.out / "error.png")
        shown = Table(*rows[0], title=f"{name}: {studies} studies a row")
        for row in rows if len(rows) <= 40 else sorted(rows, key=lambda row: -float(row["percent"]))[:12]:
            shown.add_row(*map(str, row.values()))
        if len(rows) > 40:
            shown.caption = (
                "the twelve largest"
                if name != "coverage"
                else "the twelve largest; smallest " + min(rows, key=lambda row: float(row["percent"]))["percent"]
            )
        Console().print(shown)


if __name__ == "__main__":
    main()
