import pytest
import torch

from lpflu_bench.callbacks.step_seed import StepSeed


class _Trainer:
    def __init__(self, step, rank=0):
        self.global_step, self.global_rank = step, rank


def _draw(step, batch_idx, rank=0):
    StepSeed().on_train_batch_start(_Trainer(step, rank), None, None, batch_idx)
    return torch.rand(4)


@pytest.fixture(autouse=True)
def _seed(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")


def test_draws_depend_on_the_counters_alone():
    first = _draw(5, 1)
    torch.rand(7)
    assert torch.equal(first, _draw(5, 1))


def test_steps_micro_batches_ranks_and_seeds_draw_differently(monkeypatch):
    draws = [_draw(5, 1), _draw(6, 1), _draw(5, 2), _draw(5, 1, rank=1)]
    monkeypatch.setenv("PL_GLOBAL_SEED", "4")
    draws.append(_draw(5, 1))
    assert len({tuple(d.tolist()) for d in draws}) == 5
