"""What networks, exporters and wrappers do to an activation module: every function of the registry keeps to it."""

import pytest
import torch
from activation_reference import NAMES
from torch import nn

from lpflu_bench.activations import UnknownActivationError, create_activation, fused
from lpflu_bench.nn import LPFLU, PELU, SAU, SMU, SMU1

X = torch.linspace(-3, 3, 24).view(2, 3, 4)
SCALARS = [PELU, SAU, SMU, SMU1, lambda **options: LPFLU("trainable", **options)]


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_takes_inplace_device_and_dtype(name):
    module = create_activation(name, inplace=True, device="cpu", dtype=torch.float64).eval()
    assert all(parameter.dtype is torch.float64 for parameter in module.parameters())
    same(module(X.double().clone()), create_activation(name).eval()(X.double()))
    assert all(p.dtype is torch.float32 for p in create_activation(name, dtype=torch.float16).parameters())
    with pytest.raises(TypeError, match=r"dtype must be a floating-point dtype, got torch\.int64"):
        create_activation(name, dtype=torch.int64)


@pytest.mark.parametrize("build", SCALARS)
def test_scalar_parameters_are_vectors_of_one_and_old_state_dicts_load(build):
    module = build()
    assert all(parameter.shape == (1,) for parameter in module.parameters())
    old = {name: torch.full((), 0.7) for name in module.state_dict()}
    network = nn.Sequential(module)
    network.load_state_dict({f"0.{name}": value for name, value in old.items()})
    assert all(parameter.tolist() == [pytest.approx(0.7)] for parameter in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_torch_fx_records_one_call_of_the_module(name):
    network = nn.Sequential(nn.Linear(4, 4), create_activation(name)).eval()
    traced = torch.fx.symbolic_trace(network)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["0", "1"]
    same(traced(X), network(X))
    alone = torch.fx.symbolic_trace(create_activation(name).eval())
    if name != "pau":
        same(alone(X), create_activation(name).eval()(X))


def test_a_traced_network_keeps_its_slopes_alive():
    from lpflu_bench import advance_slopes

    traced = torch.fx.symbolic_trace(nn.Sequential(LPFLU(upper=0.9)))
    before = traced.train()(X)
    advance_slopes(traced, seed=0, step=0)
    assert not torch.equal(traced(X), before)
    assert not torch.equal(traced.eval()(X), traced.train()(X))


@pytest.mark.parametrize("name", ["relu", "mish", "lpflu", "leaky_gelu"])
def test_dense_permuted_strides_are_kept(name, monkeypatch):
    monkeypatch.setattr(fused, "MINIMUM_ELEMENTS", 1)
    module = create_activation(name)
    for x in (X.permute(2, 0, 1), X.transpose(0, 1), X[:, ::2]):
        given = x.detach().requires_grad_()
        y = module(given)
        y.backward(torch.ones_like(y))
        assert y.stride() == given.grad.stride() == torch.relu(x).stride()


@pytest.mark.parametrize("name", NAMES)
def test_repr_shows_the_settings(name):
    module = create_activation(name, inplace=True)
    assert "inplace=True" in repr(module)
    for setting, value in {"alpha": 0.5, "beta": 2.0, "num_parameters": 3}.items():
        try:
            changed = create_activation(name, **{setting: value})
        except (TypeError, ValueError):
            continue
        assert f"{setting}={value:g}" in repr(changed)


@pytest.mark.parametrize(
    ("given", "meant"), [("LPFLU", "lpflu"), ("PReLU", "prelu"), ("lp_flu", "lpflu"), ("leaky_Mish", "leaky_mish")]
)
def test_capitals_and_near_names_are_suggested(given, meant):
    with pytest.raises(UnknownActivationError, match=f"nearest (is|are) .*{meant}"):
        create_activation(given)


def test_fits_where_networks_build_their_own():
    timm = pytest.importorskip("timm")
    torchvision = pytest.importorskip("torchvision")
    block = torchvision.ops.Conv2dNormActivation(3, 4, activation_layer=LPFLU)
    assert block(torch.randn(1, 3, 8, 8)).shape == (1, 4, 8, 8)
    network = timm.create_model("resnet10t", act_layer=LPFLU, num_classes=2)
    assert sum(isinstance(module, LPFLU) for module in network.modules()) > 5
    traced = torchvision.models.feature_extraction.create_feature_extractor(network, ["layer1"])
    assert traced(torch.randn(1, 3, 32, 32))["layer1"].shape[0] == 1
