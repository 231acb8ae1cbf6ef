"""One cell after another, in this process: for looking at what happens in a debugger."""

from lpflu_bench.studies.cell import Job, Outcome, run_job


class LocalExecutor:
    """Runs a job when it is polled.

    Args:
        time_limit: seconds for each job.
    """

    def __init__(self, time_limit: float | None = None) -> None:
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
