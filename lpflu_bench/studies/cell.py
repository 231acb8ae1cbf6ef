"""One cell: train and test a resolved configuration, going on from its checkpoint if there is one."""

import atexit
import base64
import gc
import importlib
import json
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.outcomes import has_outcomes, outcomes_path
from lpflu_bench.record_files import read_record
from lpflu_bench.records import FILE_NAME, Record, Tested
from lpflu_bench.studies.disk import is_disk_error
from lpflu_bench.training.interrupts import interrupts

RUNNER = "lpflu_bench.studies.cell:train_and_test"


@dataclass(frozen=True)
class PlannedTest:
    """One of the tests of a cell's trained network.

    Attributes:
        labels: what it is called in tables: its value on each axis of the study's ``test:``.
        settings: configuration keys and values that make it, on top of the cell's.
        conditions: what the record will say it was tested under (:attr:`lpflu_bench.records.Tested.conditions`).
    """

    labels: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def of(self, record: Record) -> list[Tested]:
        """Return a record's results of this test: of the raw weights and, if there are some, the averaged ones."""
        return [tested for tested in record["tested"] if tested["conditions"] == self.conditions]


def is_finished(record: Record | None, tests: Sequence[PlannedTest]) -> bool:
    """Return whether a record is finished and has every planned test: one may have come to the plan later.

    Where no test is planned, the training alone counts.
    """
    done = ("finished",) if tests else ("finished", "fitted")
    return record is not None and record["status"] in done and all(test.of(record) for test in tests)


@dataclass(frozen=True)
class Job:
    """A cell on its way to an executor.

    Attributes:
        cell: its hash.
        name: for people.
        config: its resolved configuration, machine settings included.
        run_dir: its run folder.
        runner: ``module:function`` that runs it: takes a job, returns a record.
        tests: what it is tested under.
    """

    cell: str
    name: str
    config: dict[str, Any]
    run_dir: str
    runner: str = RUNNER
    tests: tuple[PlannedTest, ...] = (PlannedTest(),)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        record: of a run that ended.
        outcomes: of its tests by image, the file's bytes in base64.
        error: one line, of one that failed.
        final: running it again would end the same way.
        lost: it is not the cell's fault (a node of the cluster went away).
        disk: the disk is full or read-only: no other cell would do better.
        seconds: it took.
        host: where.
    """

    record: Record | None = None
    outcomes: str | None = None
    error: str | None = None
    final: bool = False
    lost: bool = False
    disk: bool = False
    seconds: float = 0.0
    host: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def job_from_dict(fields: Mapping[str, Any]) -> Job:
    """Return the job whose fields came through JSON."""
    return Job(**{**fields, "tests": tuple(PlannedTest(**test) for test in fields["tests"])})


def _is_whole(record: Path, test: Tested) -> bool:
    """Return whether a test was of all images, and its outcomes by image are where it wrote them."""
    return test["incomplete"] is None and (test["outcomes"] is None or has_outcomes(record, test))


def train_and_test(job: Job) -> Record:
    """Train a cell with the command line's ``fit``, test it under each of its conditions, and return its record.

    A run that was interrupted resumes from its last checkpoint; one that is trained is only tested, and only where its
    record has no test yet, or where the test's outcomes by image were lost.

    Raises:
        UserError: the run cannot be done as configured, or its loss is not finite.
    """
    from lpflu_bench.callbacks.checkpoint import LAST
    from lpflu_bench.callbacks.record import readable_record
    from lpflu_bench.training import lightning_cli
    from lpflu_bench.training.trained_config import CHECKPOINTS, trained_config

    folder = Path(job.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(job.config, sort_keys=False), encoding="utf-8")
    path = folder / FILE_NAME
    checkpoint = folder / CHECKPOINTS / LAST
    if checkpoint.exists():
        try:
            trained_config(checkpoint)
        except UserError as error:  # truncated by a power failure
            print(f"restarting from scratch: {error}", flush=True)
            shutil.rmtree(checkpoint.parent)
    if not checkpoint.exists():
        path.unlink(missing_ok=True)
    record = readable_record(path)
    if record is None or record["trained"]["incomplete"]:
        resuming = ["--ckpt_path", "last"] if checkpoint.exists() else []
        lightning_cli.run(["fit", "--config", str(config), "--run_dir", str(folder), *resuming])
        record = read_record(path)
    for test in job.tests:
        if not any(_is_whole(path, tested) for tested in test.of(record)):
            options = [f"--{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in test.settings.items()]
            where = ["--config", str(config), "--run_dir", str(folder), "--ckpt_path", "last"]
            lightning_cli.run(["test", *where, *options])
    return read_record(path)


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
        runner: Callable[[Job], Record] = getattr(importlib.import_module(module), function)
        with _limited(time_limit), interrupts():
            record = runner(job)
        file = outcomes_path(Path(job.run_dir) / FILE_NAME)
        outcomes = base64.b64encode(file.read_bytes()).decode() if file.is_file() else None
        return Outcome(record=record, outcomes=outcomes, seconds=time.monotonic() - start, host=host)
    except SystemExit as error:
        if type(error).__name__ == "SIGTERMException":  # Lightning's, imported only where it is used
            return Outcome(error="stopped by SIGTERM", lost=True, seconds=time.monotonic() - start, host=host)
        import traceback

        traceback.print_exc()  # nothing else says in the log where and why it did
        line = f"the run exited with status {error.code}"
        return Outcome(error=line, final=True, seconds=time.monotonic() - start, host=host)
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


def _clean_up() -> None:
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()  # the modules that are loaded by now: a third of a second in each of a cell's collections
        atexit.register(gc.unfreeze)  # libraries look for leaks at the end
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
