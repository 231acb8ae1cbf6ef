"""A pool of worker processes: several cells share the cores, or a GPU; one that dies takes its own cell alone."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict

from lpflu_bench.studies.cell import Job, Outcome


class _Worker:
    """One place of the pool: a thread that talks to a process and replaces it when it dies."""

    def __init__(self, index: int, environment: dict[str, str], time_limit: float | None, done: "_Done") -> None:
        self._environment = environment
        self._time_limit = time_limit
        self._done = done
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._expired = False
        self._thread = threading.Thread(target=self._serve, name=f"cells-{index}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            outcome = self._run(job)
            if self._closed:
                return
            self._done.put((self, job, outcome))

    def _run(self, job: Job) -> Outcome:
        start = time.monotonic()
        self._expired = False
        timer = None
        try:
            process = self._living()
            assert process.stdin is not None
            assert process.stdout is not None
            if self._time_limit is not None:
                timer = threading.Timer(self._time_limit, self._expire)
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
        return Outcome(error=cause, seconds=seconds)

    def _living(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lpflu_bench.studies.executors.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
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
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        self._closed = True
        self.kill()
        self.jobs.put(None)
        self._thread.join(timeout=10)


_Done = queue.Queue[tuple[_Worker, Job, Outcome]]


class ProcessExecutor:
    """A pool of worker processes. The processor's threads are divided among them; GPUs are dealt out in turn.

    Args:
        workers: cells at once.
        time_limit: seconds for each cell, after which its worker is killed.
    """

    def __init__(self, workers: int, time_limit: float | None = None) -> None:
        self._done: _Done = queue.Queue()
        devices = _visible_devices()
        self._workers = []
        for index in range(workers):
            threads = str(max(1, _cores() // workers))
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "PYTHONUNBUFFERED": "1",
            }
            environment.pop("PL_GLOBAL_SEED", None)
            if devices:
                environment["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
            self._workers.append(_Worker(index, environment, time_limit, self._done))
        self._free = list(self._workers)

    def slots(self) -> int:
        """Return the number of workers."""
        return len(self._workers)

    def submit(self, job: Job) -> None:
        """Give a job to a free worker."""
        self._free.pop(0).jobs.put(job)

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Return what has ended."""
        ended = []
        try:
            ended.append(self._done.get(timeout=timeout))
            while True:
                ended.append(self._done.get_nowait())
        except queue.Empty:
            pass
        for worker, _, _ in ended:
            self._free.insert(0, worker)  # the one that has just worked has everything imported
        return [(job, outcome) for _, job, outcome in ended]

    def close(self) -> None:
        """Kill the workers."""
        for worker in self._workers:
            worker.close()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _visible_devices() -> list[str]:
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
