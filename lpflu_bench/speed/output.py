"""Measured costs as tables and as a bar chart beside the paper's."""

from pathlib import Path

import matplotlib
import pandas as pd
from rich.table import Table

from lpflu_bench.errors import UserError
from lpflu_bench.paths import resource_path
from lpflu_bench.terminal import text_table

_COLORS = {"eager": "#c44e52", "fused": "#4c72b0", "compiled": "#55a868"}


def pointwise_tables(frame: pd.DataFrame) -> tuple[list[Table], str]:
    """The tables of one dtype, forward and forward + backward: a line for each function and mode; and how to read them."""
    first = frame.iloc[0]
    copy = frame[frame["function"] == "copy"].iloc[0]
    where = f"{first['device']}, {first['threads']} threads" if first["device_type"] == "cpu" else str(first["device"])
    tables = []
    for passes in ("forward", "forward+backward"):
        lines, before = [], None
        for _, row in frame[frame["pass"] == passes].iterrows():
            rate = row["passes_per_second"]
            times = [
                f"{rate:.3g}" if rate < 1000 else f"{rate:.0f}",
                _half_range(row),
                f"{row['ratio_to_relu']:.2f}",
                f"{row['gb_per_second']:.1f}",
                f"{row['fraction_of_copy']:.0%}",
            ]
            lines.append(
                [
                    "" if row["function"] == before else str(row["function"]),
                    str(row["mode"]),
                    *(["no memory", *[""] * 4] if pd.isna(rate) else times),
                    f"{row['kept_bytes'] / row['input_bytes']:.2g}",
                ]
            )
            before = row["function"]
        head = ["function", "mode", "passes/s", "±", "x ReLU", "GB/s", "of copy", "kept"]
        tables.append(text_table(f"{passes}: {first['shape']}, {first['dtype']}, {where}", head, lines, texts=2))
    note = (
        f"{first['repeats']} rounds, medians; ±: half the range between quartiles; x ReLU: time over ReLU's in the same "
        f"round; copy: {copy['gb_per_second']:.1f} GB/s; kept: for backward, in sizes of the input; no memory: it needs "
        "more than there is"
    )
    return tables, note


def _half_range(row: pd.Series) -> str:
    return f"{50 * (row['seconds_high'] - row['seconds_low']) / row['seconds_median']:.0f} %"


def network_tables(frame: pd.DataFrame) -> tuple[list[Table], str]:
    """The table of training steps: a line for each function and mode; and how to read it."""
    first = frame.iloc[0]
    lines = [
        [
            str(row["function"]),
            str(row["mode"]),
            f"{row['images_per_second']:.1f}",
            _half_range(row),
            f"{row['ratio_to_relu']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['kept_bytes'] / 1e6:.0f}",
        ]
        for _, row in frame.iterrows()
    ]
    title = (
        f"Training step of {first['network']}, {first['batch_size']} images of {first['image_size']} x "
        f"{first['image_size']}, {first['dtype']}, {first['device']}"
    )
    note = (
        f"median of {first['repeats']} steps, ± half the range between quartiles; peak: the most the step holds beyond "
        "parameters; kept: saved between forward and backward"
    )
    head = ["function", "mode", "images/s", "±", "x ReLU", "peak MB", "kept MB"]
    return [text_table(title, head, lines, texts=2)], note


def published_ratios() -> pd.DataFrame:
    """The paper's Table 7 as time over ReLU's: index function, columns cpu and gpu."""
    published = pd.read_csv(resource_path("results/published/table7.csv"))
    rates = published.pivot_table(index="activation", columns="device", values="value")
    return rates.loc["relu"] / rates


def draw(frame: pd.DataFrame, file: Path) -> None:
    """Draw the forward passes' time over ReLU's, beside the paper's where it has the function.

    Args:
        frame: What ``measure`` returns; the first dtype is drawn.
        file: PNG, SVG or PDF.

    Raises:
        UserError: The file name's extension is not an image format, or it cannot be written.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    forward = frame[(frame["pass"] == "forward") & (frame["dtype"] == frame["dtype"].iloc[0])]
    ratios = forward.pivot_table(index="function", columns="mode", values="ratio_to_relu", sort=False)
    paper = published_ratios()
    device = "cpu" if frame["device_type"].iloc[0] == "cpu" else "gpu"
    bars = [(f"paper ({device.upper()})", "0.65", paper[device].reindex(ratios.index))]
    bars += [(mode, _COLORS[mode], ratios[mode]) for mode in _COLORS if mode in ratios]
    height = 0.84 / len(bars)
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.2 * len(bars) * len(ratios)), layout="constrained")
    for number, (label, color, values) in enumerate(bars):
        places = [place + (number - (len(bars) - 1) / 2) * height for place in range(len(ratios))]
        drawn = axis.barh(places, values.fillna(0), height, label=label, color=color)
        axis.bar_label(drawn, [f"{v:.2f}" if v < 10 else f"{v:.1f}" for v in values.fillna(0)], padding=3, fontsize=7)
        for text, value in zip(axis.texts[-len(values) :], values, strict=True):
            text.set_visible(bool(pd.notna(value)))
    axis.set_yticks(range(len(ratios)), list(ratios.index))
    axis.set_ylim(len(ratios) - 0.4, -0.6)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlim(0.5, 1.5 * max(1.0, *(values.max() for _, _, values in bars)))
    axis.set_xlabel("time of a forward pass over ReLU's (less is better, logarithmic)")
    axis.set_title(f"{forward['shape'].iloc[0]}, {forward['dtype'].iloc[0]}, {forward['device'].iloc[0]}", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right" if len(ratios) > 3 else "best")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=150)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write the picture {file}: {str(error).splitlines()[0]}") from error
    finally:
        plt.close(figure)
