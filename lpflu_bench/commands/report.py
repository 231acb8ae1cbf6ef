"""``lpflu-bench report``: the runs found in some folders as a table and as CSV."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUNS", help="run folders, record.json files or folders of runs"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write one row per run, with everything recorded")


def run(args: argparse.Namespace) -> int:
    """Print the runs by task; write the CSV file."""
    from rich.console import Console

    from lpflu_bench.reports.frames import cells_frame

    records = load_records(args.runs)
    console = Console()
    for task in sorted({str(record.get("task")) for record in records}):
        console.print(task_table(task, [record for record in records if str(record.get("task")) == task]))
    if args.csv is not None:
        try:
            args.csv.parent.mkdir(parents=True, exist_ok=True)
            cells_frame(records).to_csv(args.csv, index=False, lineterminator="\n")
        except OSError as error:
            raise UserError(f"cannot write {args.csv}: {error.strerror}; name another --csv file") from error
        console.print(f"{args.csv}: {len(records)} run{'s' if len(records) > 1 else ''}", highlight=False)
    return 0


def load_records(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read every record below the paths once.

    Raises:
        UserError: a path does not exist, a record cannot be read, or there is none at all.
    """
    from lpflu_bench.records import find_records, read_record

    files = {file.resolve(): file for path in paths for file in find_records(path)}
    if not files:
        raise UserError(f"no record.json below {', '.join(map(str, paths))}; name folders in which runs have finished")
    return [read_record(file) for file in files.values()]


def task_table(task: str, records: Sequence[Mapping[str, Any]]) -> "Table":
    """Return one task's runs as a table for the terminal, in the order of the CSV file."""
    from rich.table import Table
    from rich.text import Text

    from lpflu_bench.reports.frames import cells_frame

    frame = cells_frame(records)
    metrics = [name for name in frame.columns if name.startswith("metrics.")]
    averaged = (frame["weights"] == "averaged").any()
    shown = ["network", "activation", "seed", *(["weights"] if averaged else []), *metrics]
    shown += ["train.images_per_second", "status"]
    table = Table(title=task, title_justify="left", title_style="bold")
    for name in shown:
        left = name in ("network", "activation", "weights", "status")
        heading = {"train.images_per_second": "images/s"}.get(name, name.removeprefix("metrics."))
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in frame.to_dict("records"):
        table.add_row(*(Text(_cell_text(row.get(name))) for name in shown))
    return table


def _cell_text(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
