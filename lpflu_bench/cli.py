"""The command ``lpflu-bench``: one dispatcher; each command is a module of ``lpflu_bench.commands``.

Nothing heavy is imported here: ``--help`` and the light commands answer at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from lpflu_bench import __version__
from lpflu_bench.errors import INTERRUPTED, UserError

COMMANDS = {
    "demo": "train ReLU, SiLU and LPFLU on three small embedded tasks and print the tables: minutes, CPU only, offline",
    "fit": "train a recipe (`--config tasks/<task>/<network>.yaml`)",
    "validate": "evaluate a checkpoint on the validation set",
    "test": "evaluate a checkpoint on the test set and complete the run record",
    "predict": "write the predictions of a checkpoint into a folder",
    "report": "collect the records of runs into a table and a CSV file",
    "study": "run, watch and report a grid of runs",
    "deploy": "export trained runs to ONNX and INT8, score and time the exported networks",
    "activations": "list the activation functions, or draw them",
    "networks": "list the networks of each kind of task",
    "speed": "measure what a function costs",
    "data": "check that a data set is complete, and say how to get it",
}
_LIGHTNING = ("fit", "validate", "test", "predict")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lpflu-bench",
        description="Does an activation function help, and what does it cost? "
        "Trains and tests it on classification, detection and segmentation.",
        epilog="`lpflu-bench COMMAND --help` explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lpflu-bench {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _run(arguments: list[str]) -> int:
    if not arguments:
        _parser().print_help()
        return 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        _parser().parse_args(arguments)  # prints help or version, or says which commands there are, and exits
    if name in _LIGHTNING:
        from lpflu_bench.training import lightning_cli

        return lightning_cli.run(arguments)
    command = importlib.import_module(f"lpflu_bench.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=f"lpflu-bench {name}",
        description=command.__doc__ or COMMANDS[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return int(command.run(parser.parse_args(rest)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; what the user can put right is one line on stderr."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except ValueError as error:
        # What a constructor raised arrives as the cause of jsonargparse's errors about the arguments around it.
        user_error: BaseException | None = error
        while user_error is not None and not isinstance(user_error, UserError):
            user_error = user_error.__cause__
        if user_error is None:
            raise
        print(f"lpflu-bench: error: {user_error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lpflu-bench: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
