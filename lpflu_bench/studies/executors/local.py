"""One cell after another, in this process: for looking at what happens in a debugger."""

from pathlib import Path
from typing import ClassVar

from lpflu_bench.studies.cell import Job, Outcome, run_job
from lpflu_bench.studies.executors.base import TIME_LIMIT, Option


class LocalExecutor:
    """Runs a job when it is polled.

    Args:
        folder: not used.
        time_limit: seconds for each job.
    """

    options: ClassVar[tuple[Option, ...]] = (TIME_LIMIT,)

    def __init__(self, folder: Path, time_limit: float | None = None) -> None:
        self._time_limit = time_limit
        self._job: Job | None = None

    def slots(self) -> int:
        """One at a time."""
        return 1

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._job = job

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Run it."""
        job, self._job = self._job, None
        return [] if job is None else [(job, run_job(job, self._time_limit))]

    def close(self) -> None:
        """Nothing runs between polls."""
