"""Which function passes which check in which dtype: eager, fused, compile, export, ONNX, fx, FSDP2, quantization and more.

    uv run python benchmarks/conformance.py [--only 'leaky_*'] [--checks fx export] [--out results/conformance]

Writes matrix.csv (a row for each function, check and dtype, with the reason where one fails) and README.md (the table). Rows
of other functions and checks that the file holds already stay. The checks are those of
lpflu_bench/activations/conformance.py, which the tests run too; FSDP2 runs in two processes. On two idle cores a function takes
about half a minute, mostly for torch.compile.
"""

import argparse
import fnmatch
import functools
import tempfile
from pathlib import Path

import pandas as pd
import torch
from torch import distributed, multiprocessing

from lpflu_bench.activations import create_activation, fused
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.conformance import CHECKS, DTYPES, FLOAT32_ONLY

NAMES = [*ENTRIES, *(f"leaky_{name}" for name, entry in ENTRIES.items() if entry.smooth_relu)]
COLUMNS = ["function", "check", "dtype", "passes", "reason"]
PROCESSES = 2


def short(dtype):
    return str(dtype).removeprefix("torch.")


def row(name, check, dtype):
    try:
        CHECKS[check](functools.partial(create_activation, name), dtype)
    except Exception as error:  # the table says which
        gist = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return [name, check, short(dtype), False, f"{type(error).__name__}: {gist[:160]}"]
    return [name, check, short(dtype), True, ""]


def rows_of(name, checks):
    return [row(name, check, dtype) for check in checks for dtype in (DTYPES[:1] if check in FLOAT32_ONLY else DTYPES)]


def sharded_rows(rank, names, folder):
    torch.set_num_threads(1)
    fused.set_small_kernels(False)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    rows = [row(name, "fsdp2", dtype) for name in names for dtype in DTYPES]
    distributed.destroy_process_group()
    pd.DataFrame(rows, columns=COLUMNS).to_csv(Path(folder, f"{rank}.csv"), index=False)


def fsdp2_rows(names):
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(sharded_rows, (names, folder), PROCESSES)
        ranks = [pd.read_csv(Path(folder, f"{rank}.csv"), keep_default_na=False) for rank in range(PROCESSES)]
    ranks[0]["passes"] &= ranks[1]["passes"]
    return ranks[0].to_numpy().tolist()


def markdown(table):
    def cell(rows):
        failed = list(rows.loc[~rows["passes"], "dtype"])
        return "all" if not failed else "none" if len(failed) == len(rows) else f"not {', '.join(failed)}"

    checks = [check for check in CHECKS if check in set(table["check"])]
    lines = [
        "# Conformance matrix",
        "",
        f"Made by `python benchmarks/conformance.py` with torch {torch.__version__}. A cell says in which of "
        f"{', '.join(map(short, DTYPES))} a function passes a check "
        f"({', '.join(sorted(FLOAT32_ONLY))}: in float32 alone); `matrix.csv` has the reason of each failure.",
        "",
        *(f"- **{check}**: {CHECKS[check].__doc__}" for check in checks),
        "",
        f"| function | {' | '.join(checks)} |",
        f"|---{'|---' * len(checks)}|",
    ]
    for name, rows in table.groupby("function", sort=False):
        cells = {check: cell(group) for check, group in rows.groupby("check")}
        lines.append(f"| {name} | {' | '.join(cells.get(check, '') for check in checks)} |")
    return "\n".join(lines) + "\n"


def write(rows, out):
    file = out / "matrix.csv"
    table = pd.DataFrame(rows, columns=COLUMNS)
    if file.exists():
        before = pd.read_csv(file, keep_default_na=False)
        key = ["function", "check", "dtype"]
        table = pd.concat([before, table]).drop_duplicates(key, keep="last")
    for column, order in (("dtype", [short(dtype) for dtype in DTYPES]), ("check", [*CHECKS]), ("function", NAMES)):
        table = table.sort_values(column, key=lambda values, order=order: values.map(order.index), kind="stable")
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False, lineterminator="\n")
    (out / "README.md").write_text(markdown(table))
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="shell pattern of functions")
    parser.add_argument("--out", type=Path, default=Path("results/conformance"))
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    fused.set_small_kernels(False)  # the check of the kernels takes a large tensor
    names = fnmatch.filter(NAMES, options.only)
    if "fsdp2" in options.checks:
        write(fsdp2_rows(names), options.out)
    for number, name in enumerate(names):
        table = write(rows_of(name, [check for check in options.checks if check != "fsdp2"]), options.out)
        print(f"{number + 1} of {len(names)}: {name}", flush=True)
    print(table.groupby("check", sort=False)["passes"].agg(["sum", "count"]).to_string())


if __name__ == "__main__":
    main()
