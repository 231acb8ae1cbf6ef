"""The command ``lpflu-bench``: one dispatcher; each command is a module of ``lpflu_bench.commands``.

Nothing heavy is imported here: ``--help`` and the light commands answer at once.
"""

import argparse
import importlib
import keyword
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import NoReturn

from lpflu_bench import __version__
from lpflu_bench.errors import INTERRUPTED, UserError, one_line
from lpflu_bench.files import NOT_WRITABLE, cannot_write
from lpflu_bench.text import nearest

COMMANDS = {
    "demo": "train ReLU, SiLU and LPFLU on three small embedded tasks and print the tables: minutes, CPU only, offline",
    "try": "judge an activation function of yours in minutes: sound? cost? does it help?",
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
_PRINT_COMPLETION = "--print-completion"


class _Wrapped(argparse.RawDescriptionHelpFormatter):
    """Wraps the paragraphs of a description to the terminal, and leaves examples and lists as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            paragraph if re.search(r"^( |lpflu-bench)", paragraph, re.MULTILINE) else textwrap.fill(paragraph, width)
            for paragraph in paragraphs
        )


class CommandParser(argparse.ArgumentParser):
    """A parser that takes whole option names alone, and says what it refuses in one line."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", _Wrapped)
        super().__init__(**settings, allow_abbrev=False)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Refuse a command line.

        Raises:
            UserError: always.
        """
        if choice := re.match(r"argument (\S+): invalid choice: '?([^']+?)'? \(choose from (.*)\)", message):
            known = nearest(choice[2], re.findall(r"[\w.-]+", choice[3]))
            message = f"unknown {choice[1].lower()} '{choice[2]}'{known}"
        elif unknown := re.match(r"unrecognized arguments: (\S+)", message):
            option = unknown[1].partition("=")[0]
            known = nearest(option, _options(self)) if option.startswith("-") else ""
            message = f"unknown argument '{option}'{known}"
        raise UserError(f"{message} (`{self.prog} --help` lists all)")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the long options of a parser and its subcommands."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)


def _parser(*, complete: bool = False) -> CommandParser:
    """Return the parser of the command's own options, and of every command's if ``complete``."""
    import shtab

    parser = CommandParser(
        prog="lpflu-bench",
        description="Does an activation function help, and what does it cost? "
        "Trains and tests it on classification, detection and segmentation.",
        epilog="`lpflu-bench COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"lpflu-bench {__version__}")
    shtab.add_argument_to(parser, _PRINT_COMPLETION, help="print the completion script of this shell")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, add_help=complete)
        if complete:
            _describe(command, name)
    return parser


def _module(name: str) -> ModuleType:
    """Return the module of a command; a Python keyword has an underscore there."""
    return importlib.import_module(f"lpflu_bench.commands.{name}{'_' if keyword.iskeyword(name) else ''}")


def _describe(parser: argparse.ArgumentParser, name: str) -> None:
    """Add a command's description and arguments to its parser."""
    if name in _LIGHTNING:
        from lpflu_bench.commands import run_options

        run_options.add_arguments(parser, name)
    else:
        command = _module(name)
        parser.description = command.__doc__
        command.add_arguments(parser)


def _run(arguments: list[str]) -> int:
    if sys.platform == "win32":  # fcntl, resource and POSIX signals
        raise UserError(
            "lpflu-bench runs on Linux and macOS; on Windows, run it in WSL (lpflu_bench.nn works as it is)"
        )
    if not arguments:
        _parser().print_help()
        return 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        # prints help, version or completion and exits, or refuses
        _parser(complete=name.startswith(_PRINT_COMPLETION)).parse_args(arguments)
    if name in _LIGHTNING and rest not in (["--help"], ["-h"]):
        from lpflu_bench.training import lightning_cli

        return lightning_cli.run([name, "--help"] if rest == ["--help", "all"] else arguments)
    parser = CommandParser(prog=f"lpflu-bench {name}", description=COMMANDS[name])
    _describe(parser, name)
    args = parser.parse_args(rest)
    return int(_module(name).run(args))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; what the user can put right is one line on stderr."""
    warnings.formatwarning = _format_warning
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        return _refuse(error)
    except BrokenPipeError:  # the reader of our output is gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        return _refuse(cannot_write(error.filename or "a file", error))
    except KeyboardInterrupt as interrupt:
        what_to_do = f": {interrupt}" if str(interrupt) else ""
        print(f"lpflu-bench: interrupted{what_to_do}", file=sys.stderr)
        return INTERRUPTED


def _format_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> str:
    """Return a warning as one line, without the source line that gave it."""
    kind = "" if issubclass(category, UserWarning) else f"{category.__name__}: "
    return f"lpflu-bench: warning: {kind}{one_line(message, limit=1000)}\n"


def _refuse(problem: UserError | str) -> int:
    lines = str(problem).strip().splitlines() or [""]
    # An error of a loader's worker process arrives with that process' trace above it.
    text = lines[-1].partition("UserError: ")[2] or lines[-1] if len(lines) > 1 else lines[0]
    print(f"lpflu-bench: error: {one_line(text, limit=1000)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
