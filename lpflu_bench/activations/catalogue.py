"""What there is to know about each activation function before importing torch: the rows of ``catalogue.tsv``."""

import csv
from pathlib import Path

from lpflu_bench.activations.entry import Entry

_HERE = "lpflu_bench.activations"

LEAKY = f"{_HERE}.leaky:Leaky"
"""What makes ``leaky_<name>`` of a smooth function; named here, as every module is, so that the registry imports none."""


def _entries() -> dict[str, Entry]:
    with Path(__file__).with_suffix(".tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        row["name"]: Entry(
            **{**row, "target": f"{_HERE}.{row['target']}", "smooth_relu": row["smooth_relu"] == "yes"}  # type: ignore[arg-type]
        )
        for row in rows
    }


ENTRIES = _entries()

COMPARED = ("relu", "mish", "pflu", "smu", "gish", "lpflu")
"""The six that the LPFLU paper compares."""
