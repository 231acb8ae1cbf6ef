"""``lpflu-bench speed``: what a function costs in time and memory, by itself or in a network's training step.

Without options it is the paper's Table 7: its six functions on an input of 32 x 1024 x 56 x 56. For a table that is to be
kept, leave the machine idle otherwise.

  lpflu-bench speed                                   # the paper's table
  lpflu-bench speed --functions all --csv cpu.csv --plot cpu.png
  lpflu-bench speed --functions lpflu silu --shape 16 256 56 56
  lpflu-bench speed --network regnet_y_800mf          # training steps
"""

import argparse
from pathlib import Path

from lpflu_bench.commands.csv_file import write_measurements
from lpflu_bench.errors import UserError, blamed_on
from lpflu_bench.terminal import next_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--functions",
        nargs="+",
        metavar="NAME",
        default=["paper"],
        help="names or shell patterns; `all`; `paper`: the six of Table 7 (default)",
    )
    parser.add_argument("--shape", nargs="+", type=int, metavar="N", help="input shape (default: 32 1024 56 56)")
    parser.add_argument(
        "--modes",
        nargs="+",
        metavar="MODE",
        help="eager (operation by operation), fused, compiled (torch.compile); default: all, in a network eager and fused",
    )
    parser.add_argument(
        "--dtypes",
        nargs="+",
        metavar="DTYPE",
        help="float32, bfloat16, float16 (default: float32 and bfloat16, on a GPU float16 too; in a network float32)",
    )
    parser.add_argument("--repeats", type=int, help="rounds (default: 20; 300 in the paper; in a network 5)")
    parser.add_argument(
        "--network", metavar="NAME", help="measure training steps of this torchvision classifier instead"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="images per step, with --network (default: 32)")
    parser.add_argument(
        "--image-size", type=int, default=32, help="image height and width, with --network (default: 32)"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write every number measured")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also plot the ratios next to the paper's (PNG, SVG, PDF)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, write.

    Raises:
        UserError: An option is out of its range, or a file cannot be written.
    """
    for option in ("repeats", "batch_size", "image_size", "threads"):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {getattr(args, option)}")
    if args.shape is not None and min(args.shape) < 1:
        raise UserError(f"--shape must be positive numbers, not {' '.join(map(str, args.shape))}")
    if args.network is not None and (args.shape is not None or args.plot is not None):
        raise UserError("--shape and --plot are for functions by themselves: leave them out with --network")

    import pandas as pd
    import torch
    from rich.console import Console

    from lpflu_bench.activations.registry import create_activation
    from lpflu_bench.speed import output
    from lpflu_bench.speed.network import MODES as NETWORK_MODES
    from lpflu_bench.speed.network import measure_network
    from lpflu_bench.speed.pointwise import MODES, PAPER_SHAPE, measure

    try:
        device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {args.device}: {str(error).splitlines()[0]}") from error
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    functions = _names(args.functions)
    with blamed_on("--functions"):  # before anything is measured
        for name in functions:
            create_activation(name)
    console = Console(highlight=False)
    with Console(stderr=True).status("measuring") as status:
        if args.network is not None:
            frames = [
                measure_network(
                    args.network,
                    functions,
                    modes=_known(args.modes or ["eager", "fused"], NETWORK_MODES, "--modes"),
                    dtype=dtype,
                    batch_size=args.batch_size,
                    image_size=args.image_size,
                    repeats=args.repeats or 5,
                    device=device,
                    progress=status.update,
                )
                for dtype in _known(args.dtypes or ["float32"], ("float32", "bfloat16", "float16"), "--dtypes")
            ]
        else:
            frames = [
                measure(
                    functions,
                    modes=args.modes or MODES,
                    dtypes=args.dtypes or ["float32", "bfloat16", *(["float16"] if device.type == "cuda" else [])],
                    shape=args.shape or PAPER_SHAPE,
                    repeats=args.repeats or 20,
                    device=device,
                    progress=status.update,
                )
            ]
    frame = pd.concat(frames, ignore_index=True)
    for _, part in frame.groupby("dtype", sort=False):
        tables, note = output.network_tables(part) if args.network is not None else output.pointwise_tables(part)
        for table in tables:
            console.print(table)
        console.print(note)
    if args.csv is not None:
        write_measurements(frame, args.csv)
        console.print(f"written: {args.csv}")
    if args.plot is not None:
        output.draw(frame, args.plot)
        console.print(f"drawn: {args.plot}")
    further = () if args.network is not None else ("--network", "regnet_y_800mf")
    print(
        next_command("speed", *further, "--functions", *functions) if further else next_command("study", "plan", "demo")
    )
    return 0


def _known(given: list[str], known: tuple[str, ...], option: str) -> list[str]:
    for name in given:
        if name not in known:
            raise UserError(f"{option}: {name!r} is none of {', '.join(known)}")
    return given


def _names(patterns: list[str]) -> list[str]:
    from lpflu_bench.activations.registry import list_activations
    from lpflu_bench.speed.pointwise import PAPER_FUNCTIONS

    names: list[str] = []
    for pattern in patterns:
        if pattern == "paper":
            names += PAPER_FUNCTIONS
        else:
            names += list_activations("*" if pattern == "all" else pattern) or [pattern]
    return list(dict.fromkeys(names))
