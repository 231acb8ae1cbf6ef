import math

import pytest
import torch
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.networks.initializers import initialize

LAYERS = {
    "conv": lambda: nn.Conv2d(32, 48, 3),
    "transposed": lambda: nn.ConvTranspose2d(32, 48, 3),
    "linear": lambda: nn.Linear(300, 200),
}


def fans(weight):
    area = weight[0, 0].numel() if weight.ndim > 2 else 1
    return weight.shape[1] * area, weight.shape[0] * area


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", ["xavier_uniform", "xavier_normal", "kaiming_normal"])
def test_spread_of_weights(method, layer):
    torch.manual_seed(0)
    module = LAYERS[layer]()
    nn.init.constant_(module.bias, 3)
    initialize(module, method)
    fan_in, fan_out = fans(module.weight)
    expected = 2 / fan_in if method == "kaiming_normal" else 2 / (fan_in + fan_out)
    count = module.weight.numel()
    assert module.weight.var().item() == pytest.approx(expected, rel=6 * math.sqrt(2 / count))
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert (module.weight.abs().max() <= bound).item() == (method == "xavier_uniform")
    assert not module.bias.any()


def test_orthogonal():
    module = nn.Conv2d(4, 10, 3)
    initialize(module, "orthogonal")
    rows = module.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(10), atol=1e-5, rtol=0)


def test_norms_and_everything_else():
    network = nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.BatchNorm1d(4, affine=False))
    network.append(nn.PReLU(init=0.4))
    for norm in network[:3]:
        nn.init.zeros_(norm.weight)
        nn.init.ones_(norm.bias)
    initialize(network)
    for norm in network[:3]:
        assert norm.weight.tolist() == [1] * 4
        assert norm.bias.tolist() == [0] * 4
    assert network[4].weight.item() == pytest.approx(0.4)


def test_unknown_method():
    with pytest.raises(UserError, match=r"unknown initializer 'xavier': choose one of xavier_uniform, "):
        initialize(nn.Linear(2, 2), "xavier")
