"""Which sample comes when: a pure function of seed, epoch and rank, so that a resumed run needs no stored state."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from lpflu_bench.seeding import derive_seed

# Both derive from torch's DistributedSampler because Lightning leaves such a sampler alone; any other one it would wrap
# into its own under DDP (`use_distributed_sampler` defaults to true), which shards a second time and pads test sets.


class TrainingOrder(DistributedSampler[Any]):
    """A new random order each epoch: ``permutation(derive_seed(seed, "order", epoch))``, distributed over the ranks.

    Rank ``r`` of ``w`` gets entries ``r, r + w, r + 2w, ...``. So with the last partial batch dropped, step ``s`` of
    ``w`` devices at batch ``b`` sees the same samples as step ``s`` of one device at batch ``w * b``. Every rank has
    equally many; up to ``w - 1`` samples at the permutation's end sit out that epoch.

    Args:
        dataset: What is sampled (its length alone is used).
        seed: Seed of the run.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(dataset, num_replicas=world_size, rank=rank, shuffle=True, seed=seed, drop_last=True)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epoch))
        order = torch.randperm(len(self.dataset), generator=generator)  # type: ignore[arg-type]
        return iter(order[self.rank :: self.num_replicas][: len(self)].tolist())

    def __len__(self) -> int:
        return len(self.dataset) // self.num_replicas  # type: ignore[arg-type]


class DatasetOrder(DistributedSampler[Any]):
    """Every sample exactly once over all ranks, in the data set's order: rank ``r`` of ``w`` gets ``r, r + w, ...``.

    Nothing is padded, so ranks may have one sample more or less than others.

    Args:
        dataset: What is sampled (its length alone is used).
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(self, dataset: Dataset[Any], *, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(dataset, num_replicas=world_size, rank=rank, shuffle=False)

    def _indices(self) -> range:
        return range(self.rank, len(self.dataset), self.num_replicas)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices())

    def __len__(self) -> int:
        return len(self._indices())
