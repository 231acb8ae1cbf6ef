"""Shapes, layouts, types and contexts: what a module takes, and what it refuses."""

import pytest
import torch
from activation_reference import NAMES

from lpflu_bench.activations import create_activation
from lpflu_bench.activations.catalogue import ENTRIES

OURS = [name for name in NAMES if name not in ENTRIES or not ENTRIES[name].target.startswith("torch.")]
PER_CHANNEL = ["prelu", "ptelu", "mpelu", "felu", "eelu", "swish"]


@pytest.mark.parametrize("name", NAMES)
def test_layouts_give_the_same_values(name):
    module = create_activation(name).eval()
    x = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = module(x)
    assert expected.is_contiguous()
    in_channels_last = module(x.contiguous(memory_format=torch.channels_last))
    assert in_channels_last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(in_channels_last, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(module(x.transpose(1, 3)), expected.transpose(1, 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(module(x[:, ::2, :, 1:]), expected[:, ::2, :, 1:], rtol=0, atol=1e-6)
    row = x[:1, :1, :1]
    torch.testing.assert_close(module(row.expand(3, 4, 2, 5)), module(row).expand(3, 4, 2, 5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_dimensions(name, training):
    module = create_activation(name).train(training)
    for shape in ((), (0,), (1,), (3,), (2, 0, 4), (2, 3), (1, 2, 3, 4, 5)):
        x = torch.randn(shape, requires_grad=True)
        y = module(x)
        assert y.shape == x.shape
        y.sum().backward()
        assert x.grad.shape == x.shape
        assert all(p.grad.shape == p.shape for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_dtype_in_is_dtype_out(name, dtype):
    for module in (create_activation(name), create_activation(name).eval()):
        for shape in ((), (2, 3)):
            assert module(torch.ones(shape, dtype=dtype)).dtype is dtype
    if name in PER_CHANNEL:
        assert create_activation(name, num_parameters=3)(torch.ones(2, 3, dtype=dtype)).dtype is dtype


@pytest.mark.parametrize("name", PER_CHANNEL)
def test_parameters_per_channel(name):
    module = create_activation(name, num_parameters=3).eval()
    single = create_activation(name).eval()
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x), single(x))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter[1] = 0.5
        for parameter in single.parameters():
            parameter.fill_(0.5)
    torch.testing.assert_close(module(x)[:, 1], single(x)[:, 1])
    torch.testing.assert_close(module(x[:, :, 0, 0])[:, 1], single(x)[:, 1, 0, 0])
    with pytest.raises(ValueError, match=rf"{name}: \w+ has shape \[3\], but x of shape \[2, 4\] has 4 channels"):
        module(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="no channel dimension"):
        module(torch.zeros(3))
    with pytest.raises(ValueError, match="num_parameters must be at least 1"):
        create_activation(name, num_parameters=0)


@pytest.mark.parametrize("name", NAMES)
def test_without_gradients(name):
    module = create_activation(name).eval().requires_grad_(False)
    x = torch.randn(5)
    y = module(x)
    assert not y.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(module(x), y)
        assert module(torch.randn(4).exp()).is_inference()
    torch.testing.assert_close(module(x.requires_grad_()).detach(), y)


@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_alone(name):
    x = torch.randn(5)
    before = x.clone()
    create_activation(name)(x)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_autocast(name):
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), create_activation(name))
    x = torch.randn(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
    y.float().sum().backward()
    assert y.dtype in (torch.bfloat16, torch.float32)
    assert network[0].weight.grad.isfinite().all()
    torch.testing.assert_close(y.float(), network(x), rtol=0.05, atol=0.05) if name not in {"rrelu", "eelu"} else None


@pytest.mark.parametrize("name", NAMES)
def test_building_draws_no_random_number(name):
    before = torch.get_rng_state()
    create_activation(name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["rrelu", "eelu"])
def test_random_functions_draw_in_training_alone_from_torchs_generator(name):
    module = create_activation(name)
    x = torch.linspace(-3, 3, 100)
    torch.manual_seed(1)
    first = module(x)
    second = module(x)
    torch.manual_seed(1)
    assert torch.equal(module(x), first)
    assert not torch.equal(first, second)
    module.eval()
    assert torch.equal(module(x), module(x))


def test_rrelu_draws_for_each_element_within_its_bounds():
    slopes = -create_activation("rrelu", lower=0.2, upper=0.3)(torch.full((10000,), -1.0))
    assert slopes.min() >= 0.2
    assert slopes.max() <= 0.3
    assert slopes.mean().item() == pytest.approx(0.25, abs=2e-3)
    assert slopes.unique().numel() > 9000
    for settings, argument in [
        ({"lower": 0.5, "upper": 0.5}, "upper"),
        ({"lower": -0.1}, "lower"),
        ({"upper": 1.0}, "upper"),
    ]:
        with pytest.raises(ValueError, match=f"{argument} must be in"):
            create_activation("rrelu", **settings)


def test_eelu_scales_each_positive_element_around_one():
    torch.manual_seed(0)
    module = create_activation("eelu", epsilon=0.2)
    spreads = []
    for _ in range(200):
        k = module(torch.ones(500))
        assert k.min() >= 0
        assert k.max() <= 2
        spreads.append(k.std().item())
        assert torch.equal(module(torch.full((5,), -1.0)), module(torch.full((5,), -1.0)))
    assert max(spreads) < 0.22
    assert sum(spreads) / len(spreads) == pytest.approx(0.1, abs=0.015)
    with pytest.raises(ValueError, match="epsilon"):
        create_activation("eelu", epsilon=-1)


def test_activation_checkpointing_recomputes_the_same_draw():
    from torch.utils.checkpoint import checkpoint

    module = create_activation("rrelu")
    x = torch.full((100,), -1.0, requires_grad=True)
    y = checkpoint(module, x, use_reentrant=False)
    (y * 1.0).sum().backward()
    torch.testing.assert_close(-x.grad, y.detach())
