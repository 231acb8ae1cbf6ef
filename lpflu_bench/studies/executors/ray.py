"""Cells as Ray tasks: on this machine or on a cluster."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from lpflu_bench.errors import UserError
from lpflu_bench.studies.cell import Job, Outcome, job_from_dict
from lpflu_bench.studies.executors.base import CPUS_PER_CELL, GPUS_PER_CELL, TIME_LIMIT, WORKERS, Option
from lpflu_bench.studies.executors.worker_process import run_alone

WAIT_SECONDS = 30.0
"""How long a cluster may take to answer."""


def _run_on_node(job: dict[str, Any], time_limit: float | None) -> dict[str, Any]:
    """Run a job where Ray has put it; its time starts here, not in the queue."""
    return run_alone(job_from_dict(job), time_limit).as_dict()


def _wait_for_cluster(address: str | None) -> None:
    """Wait until a cluster answers; ``ray.init`` would try for two minutes and then end the process.

    Raises:
        UserError: none has answered in time.
    """
    if address is None or address == "auto":
        return  # started here, or looked up here
    print(f"waiting up to {WAIT_SECONDS:g} s for the Ray cluster at {address}", flush=True)
    if address.startswith("ray://"):
        return  # Ray's client keeps to the same time
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    deadline = time.monotonic() + WAIT_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if subprocess.run(command, capture_output=True, timeout=left).returncode == 0:
                return
            time.sleep(1.0)
    raise UserError(
        f"--address {address}: no Ray cluster answered within {WAIT_SECONDS:g} s; `ray status` on its head node tells "
        "whether it runs, and `ray start --head` starts one"
    )


class RayExecutor:
    """Runs each cell as a Ray task; records come back to the one store by way of the task's result.

    A cell whose node went away is lost, not failed: it is submitted again, to another node. Where the nodes share the
    file system of the run folders it resumes from its checkpoint there, else it restarts.

    Args:
        folder: not used.
        address: of a cluster (``auto``, ``ray://...``, ``host:port``); None starts Ray on this machine.
        cpus_per_cell: processor threads of each cell.
        gpus_per_cell: GPUs of each cell, possibly a fraction.
        workers: maximum number of parallel cells; None for as many as the cluster's resources allow.
        time_limit: seconds for each cell, from its start on a node.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """

    options: ClassVar[tuple[Option, ...]] = (
        WORKERS,
        TIME_LIMIT,
        CPUS_PER_CELL,
        GPUS_PER_CELL,
        Option("address", str, "of a running cluster; without it Ray starts on this machine"),
    )

    def __init__(
        self,
        folder: Path,
        address: str | None = None,
        cpus_per_cell: float = 1,
        gpus_per_cell: float = 0,
        workers: int | None = None,
        time_limit: float | None = None,
    ) -> None:
        # Under `uv run` Ray would upload the working directory and build an environment on every node; ours are built.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "Ray is not installed: pip install 'lpflu-bench[ray]', or use --executor process"
            ) from error
        self._ray = ray
        self._started = not ray.is_initialized()
        if self._started:
            _wait_for_cluster(address)
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                line = " ".join(str(error).split())
                raise UserError(f"--address {address}: no Ray cluster answers there ({line[:200]})") from error
        self._needs = {"CPU": cpus_per_cell, "GPU": gpus_per_cell}
        self._workers = workers
        self._time_limit = time_limit
        self._task = ray.remote(num_cpus=cpus_per_cell, num_gpus=gpus_per_cell, max_retries=0)(_run_on_node)
        self._running: dict[Any, tuple[Job, float, frozenset[str]]] = {}

    def _living(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self._ray.nodes()  # type: ignore[no-untyped-call]
        return [node for node in nodes if node["Alive"]]

    def _nodes(self) -> frozenset[str]:
        return frozenset(node["NodeID"] for node in self._living())

    def slots(self) -> int:
        """Return how many cells the living nodes have room for."""
        count = 0
        for node in self._living():
            room = [node["Resources"].get(kind, 0) // need for kind, need in self._needs.items() if need]
            count += int(min(room, default=1))
        return count if self._workers is None else min(count, self._workers)

    def submit(self, job: Job) -> None:
        """Give a job to the cluster."""
        reference = self._task.options(name=job.name).remote(asdict(job), self._time_limit)
        self._running[reference] = (job, time.monotonic(), self._nodes())

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Return what has ended."""
        if not self._running:
            time.sleep(timeout)
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=timeout)
        return [self._end(reference) for reference in ready]

    def _end(self, reference: Any) -> tuple[Job, Outcome]:
        job, start, nodes = self._running.pop(reference)
        try:
            return job, Outcome(**self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            seconds = time.monotonic() - start
            gone = isinstance(error, self._ray.exceptions.NodeDiedError) or bool(nodes - self._nodes())
            lines = str(error).strip().splitlines() or [""]
            return job, Outcome(error=f"{type(error).__name__}: {lines[0]}"[:500], lost=gone, seconds=seconds)

    def close(self) -> None:
        """Cancel what runs; leave a Ray that was there before."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._started:
            self._ray.shutdown()
