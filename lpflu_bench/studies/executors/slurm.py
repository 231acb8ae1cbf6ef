"""Cells as Slurm jobs, through submitit: arrays, requeued when they are preempted or reach their wall time."""

import math
import shutil
import time
from argparse import ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, ClassVar

import psutil
import yaml

from lpflu_bench.errors import UserError
from lpflu_bench.studies.cell import Job, Outcome, job_from_dict
from lpflu_bench.studies.executors.base import CPUS_PER_CELL, GPUS_PER_CELL, TIME_LIMIT, WORKERS, Option
from lpflu_bench.studies.executors.worker_process import run_alone
from lpflu_bench.text import nearest

CLUSTERS = ("slurm", "local", "debug")
NOTE = "submitit-job"
_ARRAY_SIZE = 500  # Slurm's default MaxArraySize is 1001
_MINUTES = 12 * 60
_TIMEOUTS = 1000  # a job that is requeued at its wall time resumes from its checkpoint: no reason to give up
_GRACE_SECONDS = 600.0
_ACTIVE = ("PENDING", "RUNNING", "REQUEUED", "COMPLETING", "CONFIGURING", "SUSPENDED", "RESIZING")
_NOT_ITS_FAULT = ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED", "INTERRUPTED")


def _key_value(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ArgumentTypeError(f"write KEY=VALUE, such as partition=gpu, not {text}")
    return key.replace("-", "_"), yaml.safe_load(value)


def _cluster(text: str) -> str:
    if text not in CLUSTERS:
        raise ArgumentTypeError(f"must be one of {', '.join(CLUSTERS)}, not {text}")
    return text


class _Cell:
    """What a job does. submitit pickles it, and on preemption asks it how to go on: from the cell's checkpoint."""

    def __init__(self, job: dict[str, Any], time_limit: float | None) -> None:
        self.job, self.time_limit = job, time_limit

    def __call__(self) -> dict[str, Any]:
        outcome = run_alone(job_from_dict(self.job), self.time_limit)
        if outcome.lost:  # the job is being ended: an answer would be taken for its result, and it may be requeued
            time.sleep(_GRACE_SECONDS)
        return outcome.as_dict()

    def checkpoint(self) -> Any:
        """Return what the requeued job does: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SlurmExecutor:
    """Submits cells as jobs of an array and collects their outcomes; runs on the login node, or anywhere with ``sbatch``.

    A job that is preempted or reaches its wall time is requeued and resumes from its checkpoint. If this process dies,
    its jobs stay: the next run of the study takes over those that are queued, running or done. If it is interrupted, it
    cancels them.

    Args:
        folder: of submitit's files and the jobs' logs, shared by the nodes.
        workers: jobs of an array that run at once; as many as Slurm lets by default.
        time_limit: seconds for each cell, from its start on a node.
        cpus_per_cell: of each job.
        gpus_per_cell: of each job, a whole number.
        slurm: ``sbatch`` options by submitit's names, such as ``partition`` and ``time`` (in minutes, 12 hours by default).
        cluster: ``slurm``; ``local`` or ``debug`` for submitit's stand-ins, which run on this machine.

    Raises:
        UserError: submitit is not installed, there is no ``sbatch``, or an option is not one of its.
    """

    options: ClassVar[tuple[Option, ...]] = (
        WORKERS,
        TIME_LIMIT,
        CPUS_PER_CELL,
        GPUS_PER_CELL,
        Option("slurm", _key_value, "sbatch option, such as partition=gpu or time=720 (minutes)", "KEY=VALUE", True),
        Option("cluster", _cluster, "slurm, or local or debug to try it without one", "NAME"),
    )

    def __init__(
        self,
        folder: Path,
        workers: int | None = None,
        time_limit: float | None = None,
        cpus_per_cell: float = 1,
        gpus_per_cell: float = 0,
        slurm: list[tuple[str, Any]] | None = None,
        cluster: str = "slurm",
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UserError(
                "submitit is not installed: pip install 'lpflu-bench[slurm]', or use --executor process"
            ) from error
        if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError("--executor slurm: there is no sbatch here; run on a login node, or try --cluster local")
        if gpus_per_cell != int(gpus_per_cell):
            raise UserError(f"--gpus-per-cell {gpus_per_cell:g}: Slurm gives whole GPUs; shares of one are Ray's")
        self._submitit, self._cluster, self._time_limit = submitit, cluster, time_limit
        self._slots = workers or _ARRAY_SIZE
        self._executor = submitit.AutoExecutor(
            folder.absolute(), cluster, slurm_max_num_timeout=_TIMEOUTS, local_max_num_timeout=_TIMEOUTS
        )
        self._executor.update_parameters(
            name="lpflu-bench",
            timeout_min=_MINUTES,
            cpus_per_task=math.ceil(cpus_per_cell) or None,
            gpus_per_node=int(gpus_per_cell) or None,
            slurm_array_parallelism=self._slots,
        )
        for key, value in slurm or []:
            self._set(key, value)
        self._waiting: list[Job] = []
        self._running: dict[str, tuple[Job, Any]] = {}

    def _set(self, key: str, value: Any) -> None:
        if key in ("folder", "map_count"):
            raise UserError(f"--slurm {key}=...: this is not yours to set")
        try:
            self._executor.update_parameters(**{f"slurm_{key}": value})
        except NameError as error:
            known = str(error).partition("Valid arguments: ")[2].partition("\n")[0].split(", ")
            raise UserError(f"--slurm {key}={value}: sbatch option unknown to submitit{nearest(key, known)}") from error
        except (AssertionError, TypeError, ValueError) as error:
            raise UserError(f"--slurm {key}={value}: {str(error).splitlines()[0]}") from error

    def slots(self) -> int:
        """Return how many jobs are queued at once."""
        return self._slots

    def submit(self, job: Job) -> None:
        """Take a job; those taken before the next poll are one array."""
        self._waiting.append(job)

    def poll(self, timeout: float) -> list[tuple[Job, Outcome]]:
        """Submit what waits, and return what has ended.

        Raises:
            UserError: ``sbatch`` refuses the jobs.
        """
        self._submit_waiting()
        ended = [cell for cell, (_, handle) in self._running.items() if self._done(handle)]
        if not ended:
            time.sleep(timeout)
        return [self._end(cell) for cell in ended]

    def _submit_waiting(self) -> None:
        fresh = [job for job in self._waiting if not self._take_over(job)]
        self._waiting.clear()
        if not fresh:
            return
        try:
            with self._executor.batch():
                handles = [self._executor.submit(_Cell(asdict(job), self._time_limit)) for job in fresh]
        except (self._submitit.core.utils.FailedJobError, CalledProcessError, OSError, RuntimeError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise UserError(f"sbatch refused the jobs: {lines[-1].strip()}") from error
        for job, handle in zip(fresh, handles, strict=True):
            self._running[job.cell] = (job, handle)
            if self._cluster != "debug":
                _note(job).parent.mkdir(parents=True, exist_ok=True)
                _note(job).write_text(str(handle.job_id), encoding="ascii")

    def _take_over(self, job: Job) -> bool:
        """Continue with the job that an earlier process submitted for this cell, if it is queued, running or done."""
        if self._cluster == "debug" or not _note(job).exists():
            return False
        kind = {"slurm": self._submitit.SlurmJob, "local": self._submitit.LocalJob}[self._cluster]
        handle = kind(self._executor.folder, _note(job).read_text(encoding="ascii"))
        if not handle.paths.result_pickle.exists() and not self._active(handle):
            return False
        self._running[job.cell] = (job, handle)
        return True

    def _active(self, handle: Any) -> bool:
        if self._cluster == "slurm":
            return str(handle.watcher.get_state(handle.job_id, mode="force")).startswith(_ACTIVE)
        try:
            return "submitit" in " ".join(psutil.Process(int(handle.job_id)).cmdline())
        except psutil.Error:
            return False

    def _done(self, handle: Any) -> bool:
        done = bool(handle.done())
        if self._cluster == "local" and done:  # it calls a job done that another process has started
            return bool(handle.paths.result_pickle.exists()) or not self._active(handle)
        return done

    def _end(self, cell: str) -> tuple[Job, Outcome]:
        job, handle = self._running.pop(cell)
        try:
            outcome = Outcome(**handle.result())
        except (self._submitit.core.utils.UncompletedJobError, RuntimeError) as error:
            state = str(handle.state)
            lines = [line for line in str(error).splitlines() if line.strip()] or [""]
            outcome = Outcome(
                error=f"job {handle.job_id} ended as {state}: {lines[-1].strip()}"[:500],
                lost=state.startswith(_NOT_ITS_FAULT),
                final=state.startswith("CANCELLED"),
            )
        _note(job).unlink(missing_ok=True)
        return job, outcome

    def close(self) -> None:
        """Cancel what is queued or runs."""
        self._waiting.clear()
        for job, handle in self._running.values():
            handle.cancel(check=False)
            _note(job).unlink(missing_ok=True)
        self._running.clear()


def _note(job: Job) -> Path:
    """Return the file in a cell's run folder that names its job, for the next process if this one dies."""
    return Path(job.run_dir) / NOTE
