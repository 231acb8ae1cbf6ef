"""What deployment leaves of trained networks: scores kept, size, nodes, latency beside ReLU."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from lpflu_bench.environment import busy_note
from lpflu_bench.records import Record
from lpflu_bench.reports.sections import Section, TextTable, trainings_by_setting
from lpflu_bench.scores import Score, main_score, recorded_scores

_FORMS = {"checkpoint": "PyTorch", "onnx": "ONNX", "int8": "INT8"}
_NOTE = (
    "Change: of the score against the checkpoint, positive where better. Nodes: of the graph; per layer: those of an "
    "activation layer. SNR: signal-to-noise ratio of the activation layers' outputs after quantisation, median over the "
    "layers. Latency: of a batch on the CPU, median and half the range between quartiles, and times that of the same "
    "network with ReLU in the same round. Medians over n seeds; of scores the mean."
)


def deployed_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return a row for each training, form, batch size and number of threads; what was not deployed is left out.

    Keys: setting, activation, seed, form, score (the main one's title), value, change (against the checkpoint, positive
    where better), bytes, nodes, activation_nodes, signal_to_noise (dB, median over the activation layers), batch_size,
    threads, seconds, seconds_low, seconds_high, ratio_to_relu, load (of the machine, per core), outside.
    """
    return [
        row
        for setting, trainings in trainings_by_setting(r for r in records if r.get("deployed")).items()
        for (activation, seed), group in trainings.items()
        for row in _rows(group[0], {"setting": setting, "activation": activation, "seed": seed})
    ]


def _rows(record: Record, labels: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    score: Score = main_score(recorded_scores(record).values())
    forms = record["deployed"]["forms"]
    before = forms[0]["scores"][score.name]
    for form in forms:
        gain = form["scores"][score.name] - before
        noise = form["signal_to_noise"]
        for latency in form["latencies"]:
            yield {
                **labels,
                "form": form["form"],
                "score": score.title,
                "value": form["scores"][score.name],
                "change": (-gain if score.lower_is_better else gain) + 0.0,  # no minus zero
                **{key: form[key] for key in ("bytes", "nodes", "activation_nodes")},
                "signal_to_noise": median(noise.values()) if noise else None,
                **{key: latency[key] for key in ("batch_size", "threads")},
                "seconds": latency["seconds"]["median"],
                "seconds_low": latency["seconds"]["low"],
                "seconds_high": latency["seconds"]["high"],
                "ratio_to_relu": latency["ratio_to_relu"]["median"],
                "load": record["deployed"]["load"],
                "outside": record["deployed"]["outside"],
            }


def deployed_section(records: Iterable[Record]) -> Section | None:
    """Return the accuracy kept and the latency after export and INT8, over seeds; None where nothing was deployed."""
    rows = deployed_rows(records)
    if not rows:
        return None
    tables = []
    for setting in dict.fromkeys(row["setting"] for row in rows):
        part = [row for row in rows if row["setting"] == setting]
        tables += [_kept(part, setting), _latency(part, setting)]
    outside = dict.fromkeys(row["outside"] for row in rows if row["outside"])
    left = f" Not in the graph: {'; '.join(outside)}." if outside else ""
    busy = busy_note(max(row["load"] for row in rows), "its latencies are")
    title = "Accuracy kept and latency after export and INT8"
    return Section("deployed", title, f"{_NOTE}{left} {busy}".rstrip(), tables, rows)


def _groups(rows: Sequence[Mapping[str, Any]], *keys: str) -> Iterator[tuple[tuple[Any, ...], list[Mapping[str, Any]]]]:
    """Yield the rows by the values of some keys, in order."""
    for values in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        yield values, [row for row in rows if tuple(row[key] for key in keys) == values]


def _kept(rows: Sequence[Mapping[str, Any]], setting: str) -> TextTable:
    lines = []
    for (activation, form), group in _groups(rows, "activation", "form"):
        by_seed = list({row["seed"]: row for row in group}.values())
        changes = [row["change"] for row in by_seed]
        spread = f" ± {stdev(changes):.2f}" if len(changes) > 1 else ""
        lines.append(
            [
                activation,
                _FORMS[form],
                str(len(by_seed)),
                f"{fmean(row['value'] for row in by_seed):.2f}",
                "" if form == "checkpoint" else f"{fmean(changes):+.2f}{spread}",
                f"{median(row['bytes'] for row in by_seed) / 1e6:.2f}",
                *(_median(by_seed, key, text) for key, text in _COUNTS.items()),
            ]
        )
    head = ["function", "form", "n", rows[0]["score"], "change", "MB", "nodes", "per layer", "SNR, dB"]
    return TextTable(f"{setting}: what is kept", head, lines, texts=2)


_COUNTS = {"nodes": "{:.0f}", "activation_nodes": "{:.3g}", "signal_to_noise": "{:.1f}"}


def _median(rows: Sequence[Mapping[str, Any]], key: str, text: str) -> str:
    values = [row[key] for row in rows if row[key] is not None]
    return text.format(median(values)) if values else ""


def _milliseconds(seconds: float, digits: int) -> str:
    """Return milliseconds to some digits, never as a power of ten."""
    value = 1000 * seconds
    return f"{value:.{digits}g}" if value < 10**digits else f"{value:.0f}"


def _latency(rows: Sequence[Mapping[str, Any]], setting: str) -> TextTable:
    batches = sorted({row["batch_size"] for row in rows})
    lines = []
    for (activation, form, threads), group in _groups(rows, "activation", "form", "threads"):
        line = [activation, _FORMS[form], str(threads)]
        for batch in batches:
            timed = [row for row in group if row["batch_size"] == batch]
            spread = median(row["seconds_high"] - row["seconds_low"] for row in timed) / 2 if timed else 0.0
            line += (
                [
                    f"{_milliseconds(median(row['seconds'] for row in timed), 3)} ± {_milliseconds(spread, 2)}",
                    f"{median(row['ratio_to_relu'] for row in timed):.2f}",
                ]
                if timed
                else ["", ""]
            )
        lines.append(line)
    head = ["function", "form", "threads", *(part for n in batches for part in (f"batch {n}, ms", "x ReLU"))]
    return TextTable(f"{setting}: latency", head, lines, texts=2)
