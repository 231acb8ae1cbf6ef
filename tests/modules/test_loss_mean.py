"""The mean of a loss over an epoch."""

import pytest
import torch

from lpflu_bench.modules.loss_mean import LossMean


def test_a_batch_counts_as_much_as_it_has_images():
    mean = LossMean()
    mean.update(torch.tensor(1.0), 1)
    mean.update(torch.tensor(3.0), 3)
    assert mean.compute().item() == pytest.approx(2.5)


def test_nan_stays_and_a_reset_forgets_it():
    mean = LossMean()
    mean.update(torch.tensor(float("nan")), 2)
    mean.update(torch.tensor(1.0), 2)
    assert mean.compute().isnan()
    mean.reset()
    mean.update(torch.tensor(1.0), 2)
    assert mean.compute().item() == 1.0


def test_half_precision_of_the_module_does_not_lose_count():
    metrics = torch.nn.ModuleDict({"loss": LossMean()}).to(torch.bfloat16)
    for _ in range(1000):
        metrics["loss"].update(torch.tensor(1.5, dtype=torch.bfloat16), 64)
    assert metrics["loss"].compute().item() == 1.5
