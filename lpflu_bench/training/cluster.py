"""Whether the tasks of a Slurm job are the processes of a run."""

import os
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_utilities.core.rank_zero import rank_zero_only


def _count(devices: Any) -> int | None:
    """Return the number of devices that a trainer's setting names; None if it depends on the machine."""
    if isinstance(devices, list | tuple):
        return len(devices)
    text = str(devices)
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    return int(text) if text.isdigit() else None


def own_processes(devices: Any, num_nodes: int) -> list[ClusterEnvironment]:
    """Return the plugin for a run that starts its processes itself although Slurm's variables are set; else nothing.

    Lightning takes every process of a Slurm job for a rank of one training: a plain run in a job of two tasks is refused,
    and one in its second task logs nothing. The tasks are the run's ranks only if they are as many as its processes.

    Args:
        devices: the trainer's setting.
        num_nodes: the trainer's setting.
    """
    count = _count(devices)
    tasks = os.environ.get("SLURM_NTASKS", "")
    if not tasks.isdigit() or count is None or (count * num_nodes == int(tasks) and int(tasks) > 1):
        return []
    if "LOCAL_RANK" not in os.environ:  # not a rank that Lightning has started
        rank_zero_only.rank = 0  # type: ignore[attr-defined] # Lightning has read it from SLURM_PROCID
    return [LightningEnvironment()]
