"""A worker process as its parent sees it: one that is given jobs, may die, and can be killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lpflu_bench.studies.cell import Job, Outcome
from lpflu_bench.studies.disk import is_disk_error


class WorkerProcess:
    """Runs jobs one after another in a process that is started when needed and replaced when it dies.

    Args:
        environment: of the process.
        time_limit: seconds for each job, from its start, after which the process is killed.
    """

    def __init__(self, environment: Mapping[str, str], time_limit: float | None = None) -> None:
        self._environment = dict(environment)
        self._time_limit = time_limit
        self._process: subprocess.Popen[str] | None = None
        self._expired = False

    def run(self, job: Job) -> Outcome:
        """Run a job and wait for it; that the process dies is an outcome, too."""
        start = time.monotonic()
        self._expired = False
        timer = None
        try:
            process = self._living(Path(job.run_dir))
        except OSError as error:
            return Outcome(error=f"cannot start a worker: {error}", disk=is_disk_error(error, Path(job.run_dir)))
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            if self._time_limit is not None:
                timer = threading.Timer(self._time_limit, self._expire)
                timer.daemon = True
                timer.start()
            process.stdin.write(json.dumps(asdict(job), default=str) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:  # it died before it could read the job
            answer = ""
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # or it might kill what the next job is given to
        if answer.endswith("\n"):
            return Outcome(**json.loads(answer))
        seconds = time.monotonic() - start
        cause = self._cause_of_death()
        if self._expired:
            cause = f"stopped at the time limit of {self._time_limit:g} s"
        assert self._process is not None
        lost = self._process.returncode in (-signal.SIGTERM, -signal.SIGUSR2)  # a job scheduler wants the machine back
        return Outcome(error=cause, lost=lost, seconds=seconds)

    def _living(self, run_dir: Path) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            run_dir.mkdir(parents=True, exist_ok=True)
            with (run_dir / "log.txt").open("a", encoding="utf-8") as log:  # why it could not even start
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "lpflu_bench.studies.executors.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=self._environment,
                    start_new_session=True,  # Ctrl-C is ours to handle; killing takes its loaders' processes too
                )
        return self._process

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it closed its answers and lives on
            self.kill()
            return "the worker stopped answering"
        if status == -signal.SIGKILL:
            return "the worker was killed by SIGKILL (out of memory?)"
        if status < 0:
            return f"the worker was killed by {signal.Signals(-status).name}"
        return f"the worker exited with status {status}"

    def _expire(self) -> None:
        self._expired = True
        self.kill()

    def kill(self) -> None:
        """Kill the process and what it has started."""
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_alone(job: Job, time_limit: float | None = None) -> Outcome:
    """Run a job in a process of its own, in this process's environment; what it prints goes to its run folder.

    Args:
        job: the cell.
        time_limit: seconds from the start of the process.
    """
    worker = WorkerProcess(clean_environment(), time_limit)
    try:
        return worker.run(job)
    finally:
        worker.kill()


def clean_environment() -> dict[str, str]:
    """Return this process's environment for a worker, without the seed that Lightning may have left in it.

    A cell's seed is in its configuration; a module that falls back on the variable would take another cell's.
    """
    return {name: value for name, value in os.environ.items() if name != "PL_GLOBAL_SEED"} | {"PYTHONUNBUFFERED": "1"}


def worker_environment(index: int, workers: int, cores: int, devices: list[str]) -> dict[str, str]:
    """Return the environment of one of several workers.

    The cores' threads are divided among the workers, GPUs are assigned round-robin.

    Args:
        index: of the worker, from 0.
        workers: how many there are.
        cores: of this machine.
        devices: GPUs, as in ``CUDA_VISIBLE_DEVICES``; empty for none.
    """
    threads = str(max(1, cores // workers))
    environment = clean_environment() | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
    return environment


def visible_devices() -> list[str]:
    """Return the GPUs that workers may use, without importing torch: the variable's, else what the driver lists."""
    if (text := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in text.split(",") if device]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []
