"""Executors: where cells run. Each takes jobs and gives back what became of them; none of them touches the store."""

from collections.abc import Mapping
from typing import Any, Protocol

from lpflu_bench.studies.cell import Job, Outcome

NAMES = ("process", "local", "ray")


class Executor(Protocol):
    """What runs jobs."""

    def slots(self) -> int:
        """Return how many jobs run at once, now."""

    def submit(self, job: Job) -> None:
        """Take a job; at most :meth:`slots` at once."""

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Return what ended, after ``timeout`` seconds at the latest (this process's executor: when its job ends)."""

    def close(self) -> None:
        """End whatever is running, at once: a cell goes on from its last checkpoint."""


def make_executor(
    name: str, *, workers: int | None, time_limit: float | None, ray_options: Mapping[str, Any]
) -> Executor:
    """Return the executor called ``name``.

    Raises:
        UserError: Ray is asked for and not installed, or its cluster cannot be reached.
    """
    if name == "local":
        from lpflu_bench.studies.executors.local import LocalExecutor

        return LocalExecutor(time_limit)
    if name == "ray":
        from lpflu_bench.studies.executors.ray import RayExecutor

        return RayExecutor(workers=workers, time_limit=time_limit, **ray_options)
    from lpflu_bench.studies.executors.processes import ProcessExecutor

    return ProcessExecutor(workers=workers or 1, time_limit=time_limit)
