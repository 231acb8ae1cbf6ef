"""What PyTorch does to a function besides calling it: each check takes a builder and raises where it does not work."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

Build = Callable[[], nn.Module]


def _input() -> Tensor:
    return torch.linspace(-3, 3, 96).view(2, 3, 4, 4)


def _same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _network(build: Build) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), build(), nn.Conv2d(3, 2, 1))
    with torch.no_grad():
        for parameter in network[0].parameters():
            parameter.normal_(generator=generator)
    return network


def check_autocast(build: Build) -> None:
    """A step of a small network under bfloat16 autocast is finite, and the function passes bfloat16 on."""
    network = _network(build)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network[1](network[0](_input()))
        loss = network[2](hidden).float().square().mean()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None), (
        "a gradient is not finite"
    )
    assert hidden.dtype == torch.bfloat16, f"it turns bfloat16 into {hidden.dtype}, which costs memory and time"


def check_compile(build: Build) -> None:
    """``torch.compile`` takes it as one graph, with the same values and gradients."""
    torch._dynamo.reset()
    module = build().eval()
    compiled = torch.compile(module, fullgraph=True, dynamic=False)
    one, other = (_input().requires_grad_() for _ in range(2))
    y, expected = compiled(one), module(other)
    _same(y, expected)
    y.sum().backward()
    expected.sum().backward()
    assert one.grad is not None
    assert other.grad is not None
    _same(one.grad, other.grad)


def check_export(build: Build) -> None:
    """``torch.export`` takes a network with it, for any batch size."""
    network = _network(build).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (_input(),), dynamic_shapes=({0: batch},))
    larger = _input().repeat(3, 1, 1, 1)
    _same(exported.module()(larger), network(larger))


def check_fx(build: Build) -> None:
    """``torch.fx`` traces a network with it."""
    network = _network(build).eval()
    _same(torch.fx.symbolic_trace(network)(_input()), network(_input()))


def check_vmap(build: Build) -> None:
    """``torch.func``: a gradient for each sample."""
    module = build().eval()

    def loss(x: Tensor) -> Tensor:
        total: Tensor = module(x).sum()
        return total

    x = _input()
    found = torch.func.vmap(torch.func.grad(loss))(x)
    y = module(given := x.clone().requires_grad_())
    (expected,) = torch.autograd.grad(y.sum(), given)
    _same(found, expected)


def check_memory_formats(build: Build) -> None:
    """Channels-last and strided inputs give the same values."""
    module, x = build().eval(), _input()
    _same(module(x.to(memory_format=torch.channels_last)), module(x))
    _same(module(x[:, :, ::2]), module(x)[:, :, ::2])


def check_empty(build: Build) -> None:
    """An empty batch goes through, forward and backward."""
    x = torch.empty(0, 3, 4, 4, requires_grad=True)
    y = build()(x)
    y.sum().backward()
    assert y.shape == x.shape, f"the result has the shape {list(y.shape)}"


def check_state(build: Build) -> None:
    """It can be copied, and a checkpoint of it loads without pickled code."""
    import io

    module = build()
    copy.deepcopy(module)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    build().load_state_dict(torch.load(file, weights_only=True))


CHECKS: dict[str, Callable[[Build], None]] = {
    "autocast": check_autocast,
    "channels last": check_memory_formats,
    "empty tensor": check_empty,
    "checkpoint": check_state,
    "vmap": check_vmap,
    "fx": check_fx,
    "export": check_export,
    "compile": check_compile,
}
"""The quick ones first."""
