"""Train ReLU, SiLU and LPFLU on three small tasks, two seeds each, and report the results: no network, no GPU, minutes.

It is the study `demo`, on data that the project draws: `study run demo`, `study report demo` and a summary on the screen.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.terminal import next_command, text_table

if TYPE_CHECKING:
    import pandas as pd

STUDY = "demo"
SHOWN = ("top1_error", "top5_error", "map", "map_50", "map_75", "miou", "pixel_accuracy")
"""Scores in the demo's tables: at most three a task fit the 80 columns of a small terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--workers", type=int, default=2, help="runs at once (default: %(default)s)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of records and reports (default: %(default)s)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints (default: %(default)s)")


def summarise(cells: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per task and function: seeds, mean and sd of each metric, parameters, and one training's cost.

    The cost is the seeds' median of images/s and of the seconds of training.
    """
    import pandas as pd

    metrics = [f"metrics.{name}" for name in SHOWN if f"metrics.{name}" in cells]
    rows = []
    for (task, activation), group in cells.groupby(["task", "activation"], sort=False):
        row: dict[str, Any] = {"task": task, "activation": activation, "seeds": len(group)}
        for metric in metrics:
            values = group[metric].dropna().astype(float)
            if len(values):
                name = metric.removeprefix("metrics.")
                row[f"{name}_mean"], row[f"{name}_sd"] = values.mean(), values.std(ddof=1)
        row["parameters"] = int(group["parameters"].iloc[0])
        for name in ("images_per_second", "seconds"):
            row[name] = group[name].astype(float).median()
        rows.append(row)
    return pd.DataFrame(rows)


def print_summary(summary: "pd.DataFrame") -> None:
    """Print the summary, one table a task."""
    from rich.console import Console

    for task, group in summary.groupby("task", sort=False):
        metrics = [
            name.removesuffix("_mean") for name in group.columns if name.endswith("_mean") and group[name].notna().all()
        ]
        # Three scores and what they cost fit the 80 columns of a small terminal.
        lines = [
            [
                row["activation"],
                *(f"{row[f'{name}_mean']:.2f} ± {row[f'{name}_sd']:.2f}" for name in metrics),
                f"{row['images_per_second']:.0f}",
                f"{row['seconds']:.1f}",
            ]
            for row in group.to_dict("records")
        ]
        title = f"{task}: mean ± sd over {group['seeds'].iloc[0]} seeds, in percent"
        head = ["function", *(name.replace("_", " ") for name in metrics), "images/s", "s/run"]
        Console(highlight=False).print(text_table(title, head, lines))


def run(args: argparse.Namespace) -> int:
    """Run what of the study is not done yet, report it, print the table and name its file."""
    import pandas as pd

    from lpflu_bench.commands import study

    parser = argparse.ArgumentParser()
    study.add_arguments(parser)
    places = ["--results", str(args.results), "--runs", str(args.runs)]

    def step(*words: str) -> int:
        step_args = parser.parse_args([*words, *places])
        step_args.suggest = False  # the next command is said once, at the end
        return study.run(step_args)

    status = step("run", STUDY, "--workers", str(args.workers))
    if status:
        return status
    step("report", STUDY)
    folder = args.results / STUDY
    summary = summarise(pd.read_csv(folder / "cells.csv"))
    print_summary(summary)
    summary.to_csv(folder / "summary.csv", index=False)
    print(f"table: {folder / 'summary.csv'}")
    print(f"report with intervals and verdicts: {folder / 'index.html'}")
    print(next_command("study", "plan", "quick-cifar100"))
    return 0
