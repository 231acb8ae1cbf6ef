"""``lpflu-bench report``: the runs found in some folders as a table and as CSV."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpflu_bench.errors import UserError
from lpflu_bench.terminal import next_command, text_table
from lpflu_bench.text import count_of

if TYPE_CHECKING:
    from rich.table import Table

    from lpflu_bench.records import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUNS", help="run folders, record.json files or folders of runs"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="also write one row per test, with everything recorded"
    )
    add_include(parser)


def add_include(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets other than finished runs into tables."""
    parser.add_argument(
        "--include",
        choices=["partial"],
        help="also show runs that were trained or tested in part (limited batches, fewer epochs), each marked",
    )


def run(args: argparse.Namespace) -> int:
    """Print the runs by task; write the CSV file."""
    from rich.console import Console

    from lpflu_bench.reports.cells import cell_rows, write_csv
    from lpflu_bench.reports.runs import source_texts

    found, problems = load_records(args.runs)
    wanted = ("finished", "partial") if args.include == "partial" else ("finished",)
    records = [record for record in found.values() if record["status"] in wanted]
    console = Console()
    for task in sorted({record["trained"]["task"] for record in records}):
        console.print(task_table(task, [record for record in records if record["trained"]["task"] == task]))
    for problem in problems:
        console.print(f"set aside: {problem}", highlight=False, markup=False, soft_wrap=True)
    for path, record in found.items():
        if record["status"] not in wanted:
            reason = record["error"] or record["trained"]["incomplete"] or ""
            line = f"not in the table: {path}: {record['status']}" + (f" ({reason})" if reason else "")
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if len(sources := source_texts(records)) > 1:
        console.print(f"runs of {len(sources)} different sources: {', '.join(sources)}", highlight=False)
    if args.csv is not None:
        try:
            write_csv(args.csv, *cell_rows(records))
        except OSError as error:
            raise UserError(f"cannot write {args.csv}: {error.strerror}; name another --csv file") from error
        console.print(f"{args.csv}: {count_of(len(records), 'run')}", highlight=False)
    print(next_command("deploy", *(path if path.is_dir() else path.parent for path in args.runs)))
    return 0


def load_records(paths: Sequence[Path]) -> tuple[dict[Path, "Record"], list[str]]:
    """Read every record below the paths once, and say what is wrong with those that cannot be used.

    Raises:
        UserError: a path does not exist, or there is no record at all.
    """
    from lpflu_bench.record_files import find_records, read_record, record_hash

    files = {file.resolve(): file for path in paths for file in find_records(path)}
    if not files:
        raise UserError(f"no record.json below {', '.join(map(str, paths))}; name folders in which runs have finished")
    records: dict[Path, Record] = {}
    problems: list[str] = []
    seen: dict[str, Path] = {}
    for file in files.values():
        try:
            record = read_record(file)
        except UserError as error:
            problems.append(str(error))
            continue
        if (first := seen.setdefault(record_hash(file), file)) != file:
            problems.append(f"{file} is a copy of {first}")
        else:
            records[file] = record
    return records, problems


def task_table(task: str, records: Sequence["Record"]) -> "Table":
    """Return one task's runs as a table for the terminal, in the order of the CSV file."""
    from lpflu_bench.reports.cells import cell_rows
    from lpflu_bench.reports.runs import declared_scores

    columns, lines = cell_rows(records)
    titles = {f"metrics.{name}": score.label for name, score in declared_scores(records).items()}
    averaged = any(line["weights"] == "averaged" for line in lines)
    conditions = [name for name in columns if name.startswith("conditions.")]
    words = ["activation", *(["weights"] if averaged else []), *conditions]
    title = task
    for name in ("network", "status"):  # 80 columns: what is the same in every run needs none
        values = {str(line[name]) for line in lines}
        if len(values) > 1 or values == {"partial"}:
            words.append(name)
        elif name == "network":
            title = f"{task}, {values.pop()}"
    shown = [*words, "seed", *(name for name in columns if name in titles), "images_per_second"]
    heads = {"activation": "function", "images_per_second": "images/s", **titles}
    head = [heads.get(name, name.rpartition(".")[2]) for name in shown]
    return text_table(title, head, [[_cell_text(line.get(name)) for name in shown] for line in lines], texts=len(words))


def _cell_text(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
