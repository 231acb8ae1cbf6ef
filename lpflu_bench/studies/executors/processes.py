"""A pool of worker processes: several cells share the cores, or a GPU; one that dies takes its own cell alone."""

import queue
import threading
from pathlib import Path
from typing import ClassVar

from lpflu_bench.environment import usable_cores
from lpflu_bench.studies.cell import Job, Outcome
from lpflu_bench.studies.executors.base import TIME_LIMIT, WORKERS, Option
from lpflu_bench.studies.executors.worker_process import (
    WorkerProcess,
    visible_devices,
    worker_environment,
)


class _Place:
    """One place of the pool: a thread that waits for a worker process."""

    def __init__(self, index: int, worker: WorkerProcess, done: "_Done") -> None:
        self._worker = worker
        self._done = done
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"cells-{index}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            outcome = self._worker.run(job)
            if self._closed:
                return
            self._done.put((self, job, outcome))

    def close(self) -> None:
        self._closed = True
        self._worker.kill()
        self.jobs.put(None)
        self._thread.join(timeout=10)


_Done = queue.Queue[tuple[_Place, Job, Outcome]]


class ProcessExecutor:
    """A pool of worker processes. The processor's threads are divided among them; GPUs are assigned round-robin.

    Args:
        folder: not used.
        workers: number of parallel cells.
        time_limit: seconds for each cell, after which its worker is killed.
    """

    options: ClassVar[tuple[Option, ...]] = (WORKERS, TIME_LIMIT)

    def __init__(self, folder: Path, workers: int = 1, time_limit: float | None = None) -> None:
        self._done: _Done = queue.Queue()
        devices, cores = visible_devices(), usable_cores()
        self._places = [
            _Place(index, WorkerProcess(worker_environment(index, workers, cores, devices), time_limit), self._done)
            for index in range(workers)
        ]
        self._free = list(self._places)

    def slots(self) -> int:
        """Return the number of workers."""
        return len(self._places)

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
        for place, _, _ in ended:
            self._free.insert(0, place)  # the one that has just worked has everything imported
        return [(job, outcome) for _, job, outcome in ended]

    def close(self) -> None:
        """Kill the workers."""
        for place in self._places:
            place.close()
