"""One cell: train and test a resolved configuration, going on from its checkpoint if there is one."""

import gc
import importlib
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.records import FILE_NAME, read_record
from lpflu_bench.studies.disk import is_disk_error

RUNNER = "lpflu_bench.studies.cell:train_and_test"


@dataclass(frozen=True)
class Job:
    """A cell on its way to an executor.

    Attributes:
        cell: its hash.
        name: for people.
        config: its resolved configuration, machine settings included.
        run_dir: its run folder.
        runner: ``module:function`` that runs it: takes a job, returns a record.
    """

    cell: str
    name: str
    config: dict[str, Any]
    run_dir: str
    runner: str = RUNNER


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        record: of a finished run.
        error: one line, of one that failed.
        final: running it again would end the same way.
        lost: it is not the cell's fault (a node of the cluster went away).
        disk: the disk is full or read-only: no other cell would do better.
        seconds: it took.
        host: where.
    """

    record: dict[str, Any] | None = None
    error: str | None = None
    final: bool = False
    lost: bool = False
    disk: bool = False
    seconds: float = 0.0
    host: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def train_and_test(job: Job) -> dict[str, Any]:
    """Train and test a cell with the command line's ``fit`` and ``test``, and return its record.

    A run that was interrupted resumes from its last checkpoint; one that is trained is only tested.

    Raises:
        UserError: the run cannot be done as configured, or its loss is not finite.
    """
    from lpflu_bench.callbacks.checkpoint import LAST
    from lpflu_bench.training import lightning_cli
    from lpflu_bench.training.trained_config import trained_config

    folder = Path(job.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(job.config, sort_keys=False), encoding="utf-8")
    record = folder / FILE_NAME
    checkpoint = folder / lightning_cli.CHECKPOINTS / LAST
    status = read_record(record)["status"] if record.exists() else None
    if checkpoint.exists():
        try:
            trained_config(checkpoint)
        except UserError as error:  # truncated by a power failure
            print(f"restarting from scratch: {error}", flush=True)
            shutil.rmtree(checkpoint.parent)
    if not checkpoint.exists():
        record.unlink(missing_ok=True)
        status = None
    _reset_peak_memory()
    arguments = ["--config", str(config), "--run_dir", str(folder)]
    if status not in ("fitted", "finished"):
        going_on = ["--ckpt_path", "last"] if checkpoint.exists() else []
        lightning_cli.run(["fit", *arguments, *going_on])
    if status != "finished":
        lightning_cli.run(["test", *arguments, "--ckpt_path", "last"])
    return read_record(record)


def _reset_peak_memory() -> None:
    """Let the peak be this cell's, not that of an earlier one in the same process (Linux; elsewhere it stays)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run_job(job: Job, time_limit: float | None = None) -> Outcome:
    """Run a job here and return what became of it; whatever it raises is an outcome, too.

    Args:
        job: the cell.
        time_limit: in seconds; kept in the main thread alone.

    Raises:
        KeyboardInterrupt: the user interrupted it.
    """
    start = time.monotonic()
    host = socket.gethostname()
    module, _, function = job.runner.partition(":")
    try:
        runner: Callable[[Job], dict[str, Any]] = getattr(importlib.import_module(module), function)
        with _limited(time_limit), _interrupts():
            record = runner(job)
        return Outcome(record=record, seconds=time.monotonic() - start, host=host)
    except _TerminatedError:
        return Outcome(error="stopped by SIGTERM", lost=True, seconds=time.monotonic() - start, host=host)
    except Exception as error:
        if not isinstance(error, UserError):
            import traceback

            traceback.print_exc()
        line = " ".join(str(error).split()) or "no message"
        named = line if isinstance(error, UserError) else f"{type(error).__name__}: {line}"
        print(named, file=sys.stderr, flush=True)
        return Outcome(
            error=named[:500],
            final=isinstance(error, UserError),
            disk=is_disk_error(error, Path(job.run_dir)),
            seconds=time.monotonic() - start,
            host=host,
        )
    finally:
        _clean_up()


class _TimeLimitError(Exception):
    """A cell took too long."""


class _TerminatedError(Exception):
    """The machine is wanted back."""


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    if seconds is None or not _in_main_thread():
        yield
        return

    def expired(*_: object) -> None:
        raise _TimeLimitError(f"time limit of {seconds:g} s")

    earlier = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Make an interrupt one again: Lightning turns it into SystemExit and ignores the signal from then on."""
    earlier = signal.getsignal(signal.SIGINT) if _in_main_thread() else None
    try:
        yield
    except SystemExit as error:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt from error
        if type(error).__name__ == "SIGTERMException":  # Lightning's, imported only where it is used
            raise _TerminatedError from error
        raise UserError(f"the run exited with status {error.code}") from error
    finally:
        if earlier is not None:
            signal.signal(signal.SIGINT, earlier)


def _clean_up() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
