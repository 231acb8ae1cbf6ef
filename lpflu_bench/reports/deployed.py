"""What deployment leaves of trained networks, as tables: scores kept, size, nodes, latency beside ReLU."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, cast

import pandas as pd
from rich.table import Table

from lpflu_bench.records import Record
from lpflu_bench.scores import Score, main_score, recorded_scores

_FORMS = {"checkpoint": "PyTorch", "onnx": "ONNX", "int8": "ONNX, INT8"}


def deployed_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return a row for each record, form, batch size and number of threads; records that were not deployed are left out.

    Columns: task, network, activation, seed, form, the scores, change (of the main score against the checkpoint, positive
    where better), bytes, nodes, activation_nodes, signal_to_noise (dB, median over the activation layers), batch_size,
    threads, seconds, seconds_low, seconds_high, ratio_to_relu, outside.
    """
    rows = []
    for record in records:
        if not record.get("deployed"):
            continue
        main, trained = _main(record), cast(Mapping[str, Any], record["trained"])
        forms = record["deployed"]["forms"]
        before = forms[0]["scores"][main.name]
        for form in forms:
            gain = form["scores"][main.name] - before
            noise = form["signal_to_noise"]
            rows += [
                {
                    **{key: trained[key] for key in ("task", "network", "activation", "seed")},
                    "form": form["form"],
                    **form["scores"],
                    "score": main.title,
                    "value": form["scores"][main.name],
                    "change": (-gain if main.lower_is_better else gain) + 0.0,  # no minus zero
                    **{key: form[key] for key in ("bytes", "nodes", "activation_nodes")},
                    "signal_to_noise": median(noise.values()) if noise else None,
                    **{key: latency[key] for key in ("batch_size", "threads")},
                    "seconds": latency["seconds"]["median"],
                    "seconds_low": latency["seconds"]["low"],
                    "seconds_high": latency["seconds"]["high"],
                    "ratio_to_relu": latency["ratio_to_relu"]["median"],
                    "outside": record["deployed"]["outside"],
                }
                for latency in form["latencies"]
            ]
    return pd.DataFrame(rows)


def _main(record: Record) -> Score:
    return main_score(recorded_scores(record).values())


def deployed_tables(frame: pd.DataFrame) -> list[Table]:
    """Return for each task and network the table of what is kept and the table of latencies."""
    tables = []
    for (task, network), part in frame.groupby(["task", "network"], sort=False):
        tables += [_kept(part, f"{task}, {network}"), _latency(part, f"{task}, {network}")]
    return tables


def _kept(frame: pd.DataFrame, title: str) -> Table:
    outside = str(frame["outside"].iloc[0])
    table = Table(
        "function",
        "seed",
        "form",
        title=f"{title}: what export and INT8 leave",
        caption="change: of the score against the checkpoint, positive where better; in activations: nodes of a layer's "
        "function; signal/noise: of the activation layers' outputs, median over the layers"
        + (f"; not in the graph: {outside}" if outside else ""),
    )
    for heading in (str(frame["score"].iloc[0]), "change", "MB", "nodes", "in activations", "signal/noise"):
        table.add_column(heading, justify="right")
    for _, row in frame.drop_duplicates(["activation", "seed", "form"]).iterrows():
        table.add_row(
            *_names(row),
            f"{row['value']:.2f}",
            "" if row["form"] == "checkpoint" else f"{row['change']:+.2f}",
            f"{row['bytes'] / 1e6:.2f}",
            _number(row["nodes"], "{:.0f}"),
            _number(row["activation_nodes"], "{:.3g}"),
            _number(row["signal_to_noise"], "{:.1f} dB"),
            end_section=row["form"] == "int8",
        )
    return table


def _latency(frame: pd.DataFrame, title: str) -> Table:
    table = Table(
        "function",
        "seed",
        "form",
        title=f"{title}: latency of a batch in ms, and x the same network with ReLU",
        caption="medians; ± half the range between quartiles; ratios within a round",
    )
    settings = frame[["batch_size", "threads"]].drop_duplicates().sort_values(["batch_size", "threads"])
    for batch_size, threads in settings.itertuples(index=False):
        plural = "s" if threads > 1 else ""
        table.add_column(f"batch {batch_size}, {threads} thread{plural}", justify="right")
    for _, rows in frame.groupby(["activation", "seed", "form"], sort=False):
        cells = []
        for batch_size, threads in settings.itertuples(index=False):
            row = rows[(rows["batch_size"] == batch_size) & (rows["threads"] == threads)].iloc[0]
            spread = 500 * (row["seconds_high"] - row["seconds_low"])
            cells.append(f"{1000 * row['seconds']:.3g} ± {spread:.2g}  {row['ratio_to_relu']:.2f}x")
        table.add_row(*_names(rows.iloc[0]), *cells, end_section=rows.iloc[0]["form"] == "int8")
    return table


def _names(row: pd.Series) -> tuple[str, str, str]:
    return str(row["activation"]), str(row["seed"]), _FORMS[str(row["form"])]


def _number(value: Any, form: str) -> str:
    return "" if pd.isna(value) else form.format(value)
