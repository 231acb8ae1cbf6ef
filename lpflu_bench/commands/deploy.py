"""Export trained runs, and measure what is left of them: scores, size and latency after ONNX and INT8.

lpflu-bench deploy runs/cifar100/lpflu-seed0   # one run
lpflu-bench deploy runs/quick-cifar100         # every run below a folder

Each run's network is exported by torch.export and by torch.onnx (dynamo, any batch size) into RUN/exported/, and quantised to
INT8 by ONNX Runtime (static, calibrated on training images). Each form is scored on the whole test set and timed on the CPU
beside the same network with ReLU; leave the machine idle otherwise. The record gets it all as `deployed`; a run whose record
has it already is not measured again.
Needs the extra: pip install 'lpflu-bench[deploy]'
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lpflu_bench.commands.csv_file import write_measurements
from lpflu_bench.errors import UserError

if TYPE_CHECKING:
    from rich.status import Status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or a folder of runs")
    parser.add_argument(
        "--data.root", dest="data_root", metavar="DIR", help="dataset root, if it has moved since training"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        help="batch size at which latency is measured, besides 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=256,
        help="training images that calibrate INT8's ranges (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats", type=int, default=30, help="rounds of the latency measurement (default: %(default)s)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the table")


def run(args: argparse.Namespace) -> int:
    """Deploy every run, print the tables.

    Raises:
        UserError: an option is out of its range, a run is incomplete, or a file cannot be written.
    """
    for option in ("batch_size", "calibration_images", "repeats"):
        if getattr(args, option) < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {getattr(args, option)}")
    import pandas as pd
    from rich.console import Console

    from lpflu_bench.evaluation.deploy import Settings, deploy, is_deployed
    from lpflu_bench.evaluation.onnx_export import require_onnx
    from lpflu_bench.evaluation.trained_run import find_runs, open_run
    from lpflu_bench.record_files import write_record
    from lpflu_bench.records import FILE_NAME, Record
    from lpflu_bench.reports.deployed import deployed_section
    from lpflu_bench.terminal import next_command, text_table

    require_onnx()
    settings = Settings(args.batch_size, args.calibration_images, args.repeats)
    folders = [folder for path in args.runs for folder in find_runs(path)]
    records = []
    with Console(stderr=True).status("") as status:
        for number, folder in enumerate(folders, start=1):
            opened = open_run(folder, {"root": args.data_root} if args.data_root else {})
            if is_deployed(opened, settings):
                records.append(opened.record)
                continue
            where = f"{folder} ({number} of {len(folders)}): "
            deployment = deploy(opened, settings, partial(_show, status, where))
            record: Record = {**opened.record, "deployed": deployment}
            write_record(record, folder / FILE_NAME)
            records.append(record)
    section = deployed_section(records)
    assert section is not None
    console = Console(highlight=False)
    for table in section.tables:
        console.print(text_table(table.title, table.head, table.lines, texts=table.texts))
    console.print(section.note)
    if args.csv is not None:
        write_measurements(pd.DataFrame(section.rows), args.csv)
        console.print(f"written: {args.csv}")
    print(next_command("report", *args.runs))
    return 0


def _show(status: "Status", where: str, line: str) -> None:
    status.update(where + line)
