"""Write the measured parts of README.md and results/README.md, between their markers: `python docs/readme.py`.

A test holds both to what this writes from the files under results/, so no number in these parts is typed.
"""

import csv
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
SCORES = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "map": "mAP",
    "map_50": "mAP@50",
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
}
# Declared before their first run, in the order in which they are shown.
STUDIES = ("wide-cifar100", "wide-slopes", "wide-robustness", "bccd-functions", "camvid-functions")
RUNS = {
    "cifar100-first10": "ten classes of CIFAR-100, ShuffleNetV2-x0.5",
    "bccd": "blood cells (BCCD), SSDLite at 128 x 128",
    "camvid": "street scenes (CamVid), U-Net-ResNet18 at 96 x 128",
}
COSTS = {
    "silu": "SiLU (PyTorch's own)",
    "gelu": "GELU (PyTorch's own)",
    "mish": "Mish",
    "pflu": "PFLU",
    "smu": "SMU",
    "gish": "Gish",
    "lpflu": "LPFLU",
}


def answer() -> str:
    """What the study of classification decided, in its report's words."""
    return _decided("wide-cifar100")


def answers() -> str:
    """Every question that a declared study asked: the verdict, its interval, its seeds, and what would decide it."""
    header = ["function", "verdict", "difference, 95 % interval", "seeds", "what it would take"]
    parts = []
    for study in _reported():
        rows = [row for row in _main_rows(study) if row["verdict"] != "reference"]
        score, reference = SCORES[rows[0]["metric"]], rows[0]["reference"]
        lines = [f"**{_title(study)}**: {score} against {reference} ([report]({study}/table.md))", ""]
        if "images" in rows[0]:
            lines += _by_test(study)
        else:
            lines += _table(
                header, ([r["activation"], r["verdict"], _interval(r), r["n_paired"], r["reason"]] for r in rows)
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def verdicts() -> str:
    """The main score of every declared study that trained: means, differences with intervals, verdicts."""
    parts = []
    for study in _reported():
        first = _main_rows(study)
        if "images" in first[0]:
            continue  # tests of another study's networks
        score, reference = SCORES[first[0]["metric"]], first[0]["reference"]
        lines = [f"**{_title(study)}** ([report](results/{study}/table.md)). {_decided(study)}", ""]
        lines += _table(
            ["function", "seeds", f"{score} (%)", f"difference to {reference}, 95 % interval", "verdict"],
            (
                [
                    row["activation"],
                    row["n"],
                    f"{float(row['mean']):.2f} ± {float(row['sd']):.2f}",
                    _interval(row),
                    row["verdict"] if row["verdict"] != "reference" else "",
                ]
                for row in first
            ),
        )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def runs() -> str:
    """The single runs on real images."""
    lines = []
    for folder, title in RUNS.items():
        rows = _read(RESULTS / folder / "runs.csv")
        trained = {row["activation"]: row for row in rows if row["task"] == folder}
        names = [name for name in SCORES if trained["relu"].get(f"metrics.{name}")][:2]
        untrained = next((row for row in rows if row["task"].endswith("-untrained")), None)
        cells = [
            " / ".join(f"{float(row[f'metrics.{name}']):.2f}" for name in names) if row else ""
            for row in (trained["relu"], trained["lpflu"], untrained)
        ]
        what = f"{title}, {trained['relu']['epochs']} epochs: {' / '.join(SCORES[name] for name in names)} (%)"
        lines.append([what, *cells, trained["relu"]["test.num_samples"]])
    return "\n".join(_table(["run", "ReLU", "LPFLU", "untrained", "images scored"], lines))


def cost(device: str) -> str:
    """Time of each of the paper's functions over ReLU's on a device, composed and fused."""
    rows = {
        (row["function"], row["pass"], row["mode"]): row
        for row in _read(RESULTS / "speed" / f"{device}.csv")
        if row["dtype"] == "float32"
    }
    header = ["", "forward, composed", "forward, fused", "and backward, composed", "and backward, fused"]
    ways = [(part, mode) for part in ("forward", "forward+backward") for mode in ("eager", "fused")]
    measured = [name for name in COSTS if (name, *ways[0]) in rows]
    return "\n".join(
        _table(
            header,
            ([COSTS[name], *(f"{float(rows[name, *way]['ratio_to_relu']):.3g}" for way in ways)] for name in measured),
        )
    )


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "answer": answer,
        "verdicts": verdicts,
        "runs": runs,
        "cost": partial(cost, "cpu"),
        "gpu": partial(cost, "nvidia-h100"),
    },
    "results/README.md": {"answers": answers},
}


def filled(page: str) -> str:
    """Return a page's text with its measured parts written anew.

    Raises:
        ValueError: a marker is missing.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, section in PAGES[page].items():
        begin, end = f"<!-- {name}: begin, written by docs/readme.py -->\n", f"\n<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"{page} has no markers for {name}: {begin.strip()} ... {end.strip()}")
        text = before + begin + section() + end + after
    return text


def _reported() -> list[str]:
    return [study for study in STUDIES if (RESULTS / study / "table.csv").exists()]


def _main_rows(study: str) -> list[dict[str, str]]:
    rows = _read(RESULTS / study / "table.csv")
    return [row for row in rows if (row["task"], row["metric"]) == (rows[0]["task"], rows[0]["metric"])]


def _by_test(study: str) -> list[str]:
    """Return what was decided under each condition, in the report's words."""
    return [re.sub(r"^[*][*].*? images (.*?), .*?[*][*]", r"- **\1**:", each) for each in _sentences(study)]


def _title(study: str) -> str:
    return (RESULTS / study / "table.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _decided(study: str) -> str:
    return _sentences(study)[0].rpartition("** ")[2]  # without the place's name


def _sentences(study: str) -> list[str]:
    """Return the paragraphs in which a report says what is decided, one for each place."""
    text = (RESULTS / study / "table.md").read_text(encoding="utf-8")
    return text.partition("## What is decided\n\n")[2].partition("\n## ")[0].strip().split("\n\n")


def _interval(row: dict[str, str]) -> str:
    return f"{_signed(row['difference'])} [{_signed(row['low'])}, {_signed(row['high'])}]" if row["low"] else ""


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _signed(number: str) -> str:
    return f"{float(number):+.2f}".replace("-", "−")


def _table(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


if __name__ == "__main__":
    for name in PAGES:
        (ROOT / name).write_text(filled(name), encoding="utf-8")
