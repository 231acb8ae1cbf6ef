"""Order of samples: reproducible, a partition over ranks, nothing repeated."""

import pytest
import torch
from torch.utils.data.distributed import DistributedSampler

from lpflu_bench.data.samplers import DatasetOrder, TrainingOrder
from lpflu_bench.seeding import derive_seed


def order(n, *, epoch=0, **settings):
    sampler = TrainingOrder(range(n), **{"seed": 3, **settings})
    sampler.set_epoch(epoch)
    return list(sampler)


def test_order_is_the_permutation_of_seed_and_epoch():
    generator = torch.Generator().manual_seed(derive_seed(3, "order", 2))
    assert order(50, epoch=2) == torch.randperm(50, generator=generator).tolist()


def test_order_ignores_and_leaves_the_global_generator():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = order(50)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert order(50) == first


def test_order_differs_by_epoch_and_seed():
    assert len({tuple(order(50, epoch=e, seed=s)) for e in range(3) for s in range(3)}) == 9


@pytest.mark.parametrize("n", [12, 13, 17])
@pytest.mark.parametrize("world", [2, 3, 5])
def test_training_ranks_share_out_one_permutation_equally(n, world):
    ranks = [order(n, rank=rank, world_size=world) for rank in range(world)]
    assert {len(rank) for rank in ranks} == {n // world}
    seen = [index for rank in ranks for index in rank]
    assert len(set(seen)) == len(seen) == n // world * world
    # Step s of all ranks together is step s of one device with the larger batch.
    batch = 2
    alone = order(n)
    for step in range(n // world // batch):
        together = {index for rank in ranks for index in rank[step * batch : (step + 1) * batch]}
        assert together == set(alone[step * batch * world : (step + 1) * batch * world])


@pytest.mark.parametrize("n", [1, 12, 13, 17])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_evaluation_ranks_score_every_sample_once(n, world):
    samplers = [DatasetOrder(range(n), rank=rank, world_size=world) for rank in range(world)]
    assert [len(list(sampler)) for sampler in samplers] == [len(sampler) for sampler in samplers]
    assert sorted(index for sampler in samplers for index in sampler) == list(range(n))
    assert list(samplers[0]) == sorted(samplers[0])


def test_lightning_leaves_these_samplers_alone():
    # It wraps any sampler that isn't a DistributedSampler into its own, which pads.
    assert issubclass(TrainingOrder, DistributedSampler)
    assert issubclass(DatasetOrder, DistributedSampler)
