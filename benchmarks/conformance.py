"""Which function passes which check in which dtype: eager, fused, compile, export, ONNX, fx, FSDP2, quantization and more.

    uv run python benchmarks/conformance.py [--only 'leaky_*'] [--checks fx export] [--out results/conformance]

Writes matrix.csv (a row for each function, check and dtype, with the reason where one fails) and README.md (the table). Rows
of other functions and checks that the file holds already stay, so that it can be made in slices. The checks are those of
lpflu_bench/activations/conformance.py, which the tests run too; FSDP2 runs in two processes, and torch.compile on many
functions at once. On one idle core a function takes about half a minute, mostly for the kernels.
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
from lpflu_bench.activations.conformance import CHECKS, DTYPES, FLOAT32_ONLY, compile_together

NAMES = [*ENTRIES, *(f"leaky_{name}" for name, entry in ENTRIES.items() if entry.smooth_relu)]
COLUMNS = ["function", "check", "dtype", "passes", "reason"]
PROCESSES = 2
TOGETHER = 16


def short(dtype):
    return str(dtype).removeprefix("torch.")


def build(name):
    return functools.partial(create_activation, name)


def outcome(name, check, dtype, error=None):
    if error is None:
        return [name, check, short(dtype), True, ""]
    gist = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return [name, check, short(dtype), False, f"{type(error).__name__}: {gist[:160]}"]


def row(name, check, dtype):
    try:
        CHECKS[check](build(name), dtype)
    except Exception as error:  # the table says which
        return outcome(name, check, dtype, error)
    return outcome(name, check, dtype)


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


def compiled_rows(names, dtype):
    failures = compile_together([build(name) for name in names], dtype)
    return [outcome(name, "compile", dtype, error) for name, error in zip(names, failures, strict=True)]


def native():
    """Return the functions that run PyTorch's own kernel."""
    return [name for name in ENTRIES if create_activation(name).function.native is not None]


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
        f"No kernel of this package: {', '.join(native())}, which run PyTorch's own, and float64, which runs the formula; "
        "there `fused` compares what runs instead.",
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["*"], help="shell patterns of functions")
    parser.add_argument("--out", type=Path, default=Path("results/conformance"))
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    fused.set_small_kernels(False)  # the check of the kernels takes a large tensor
    names = [name for name in NAMES if any(fnmatch.fnmatch(name, pattern) for pattern in options.only)]
    if "fsdp2" in options.checks:
        write(fsdp2_rows(names), options.out)
    if "compile" in options.checks:
        for start in range(0, len(names), TOGETHER):
            group = names[start : start + TOGETHER]
            for dtype in DTYPES:
                write(compiled_rows(group, dtype), options.out)
                print(f"compile, {short(dtype)}: {', '.join(group)}", flush=True)
    one_by_one = [check for check in options.checks if check not in {"compile", "fsdp2"}]
    for number, name in enumerate(names if one_by_one else []):
        write(rows_of(name, one_by_one), options.out)
        print(f"{number + 1} of {len(names)}: {name}", flush=True)
    table = pd.read_csv(options.out / "matrix.csv", keep_default_na=False)
    print(table.groupby("check", sort=False)["passes"].agg(["sum", "count"]).to_string())


if __name__ == "__main__":
    main()
