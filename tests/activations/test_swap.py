"""Every call of a nonlinearity gets its own instance, and nothing else about the network changes."""

import copy
import pickle
import warnings

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.checkpoint import checkpoint

from lpflu_bench.activations.nonlinearities import register_nonlinearity
from lpflu_bench.activations.replace import replace_activations, verify_swap
from lpflu_bench.errors import UserError


class Block(nn.Module):
    """A function, a method, one module twice and a loop."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, scale=1.0, *, extra=None):
        x = F.gelu(self.layers[0](x)) * scale
        x = self.act(self.layers[1](x)) + self.act(self.layers[2](x))
        for layer in self.layers:
            x = torch.nn.functional.silu(layer(x), inplace=True)
        return self.layers[0](x).relu_()


def network_of(*blocks):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), *blocks, nn.Linear(6, 3))


NAMES = ["1.gelu", "1.act", "1.act_2", "1.silu", "1.silu_2", "1.silu_3", "1.relu"]


def test_each_call_place_has_its_own_instance():
    network = network_of(Block())
    report = replace_activations(network, "lpflu")
    assert [p.path for p in report.placements] == NAMES
    assert [p.old for p in report.placements] == ["gelu", "ReLU", "ReLU", "silu", "silu", "silu", "relu"]
    calls = {p.path: 0 for p in report.placements}
    for path in calls:
        network.get_submodule(path).register_forward_hook(lambda *_, path=path: calls.update({path: calls[path] + 1}))
    network(torch.randn(2, 6))
    assert set(calls.values()) == {1}
    assert type(network[1]).__name__ == "Block"
    assert isinstance(network[1], Block)


def test_the_same_functions_put_in_give_the_same_numbers():
    """gelu stays gelu, and so on, by an activation that looks at what was there."""
    network, x = network_of(Block()), torch.randn(4, 6)
    expected = network(x)
    report = replace_activations(network, "relu")
    originals = {"gelu": nn.GELU, "ReLU": nn.ReLU, "silu": nn.SiLU, "relu": nn.ReLU}
    for place in report.placements:
        network.set_submodule(place.path, originals[place.old]())
    assert torch.equal(network(x), expected)


def test_the_proof_leaves_the_original_functions_names():
    network = network_of(Block())
    assert verify_swap(network) == 7
    report = replace_activations(network, "lpflu")
    assert [p.path for p in report.placements] == NAMES
    assert [p.old for p in report.placements] == ["gelu", "ReLU", "ReLU", "silu", "silu", "silu", "relu"]


def test_a_swapped_network_is_an_ordinary_module():
    network, x = network_of(Block(), Block()), torch.randn(4, 6)
    replace_activations(network, {"class_path": "lpflu", "init_args": {"slope": "trainable"}})
    expected = network(x)
    twin = pickle.loads(pickle.dumps(network))
    assert torch.equal(twin(x), expected)
    copied = copy.deepcopy(network)
    assert torch.equal(copied(x), expected)
    assert copied[1].act is not network[1].act
    fresh = network_of(Block(), Block())
    replace_activations(fresh, {"class_path": "lpflu", "init_args": {"slope": "trainable"}})
    fresh.load_state_dict(network.state_dict())
    assert type(fresh[1]) is type(network[1]) is type(network[2])
    assert torch.equal(checkpoint(network, x, use_reentrant=False), expected)
    exported = torch.export.export(network, (x,)).module()
    assert torch.equal(exported(x), expected)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)  # its functions run the code of the kernels


def test_a_network_stays_as_it_was_when_it_is_refused():
    class Own(nn.Module):
        def forward(self, x):
            return x.abs() + torch.sigmoid(x)

    network = network_of(Block(), Own())
    before = [(path, type(module)) for path, module in network.named_modules()]
    with pytest.raises(UserError, match=r"left: 2 \(formula\): Own computes an unknown function") as caught:
        replace_activations(network, "lpflu")
    assert "\n" not in str(caught.value)
    assert [(path, type(module)) for path, module in network.named_modules()] == before
    report = replace_activations(network, "lpflu", strict=False)
    assert [left.path for left in report.left] == ["2"]
    assert report.coverage == 7 / 8
    assert report.summary()["left"] == 1
    assert report.remarks()[-1] == "left: 2: formula, Own computes an unknown function"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda x: x * torch.sigmoid(x), r"x \* sigmoid\(x\) is written out"),
        (lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * x**3))), r"x \* tanh\(x\) is written out"),
        (lambda x: x.clamp(min=0), r"clamp\(min=0\) is written out"),
        (lambda x: torch.maximum(x, torch.zeros(())), r"maximum\(x, constant\) is written out"),
    ],
)
def test_formulas_written_out_are_told(formula, message):
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return formula(self.layer(x))

    with pytest.raises(UserError, match=message):
        replace_activations(network_of(Written(), nn.ReLU()), "lpflu")


def twice(x):
    return F.relu(x) * 2


def plain(x):
    return F.relu(x)


@pytest.mark.parametrize(("helper", "refused"), [(plain, False), (twice, True)])
def test_a_helper_function_is_replaced_only_if_it_does_nothing_else(helper, refused):
    class ByHelper(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return helper(self.layer(x))

    network = network_of(ByHelper(), nn.ReLU())
    if refused:
        with pytest.raises(UserError, match=r"1 \(relu\): .*test_swap.py:\d+: a helper function that does more"):
            replace_activations(network, "lpflu")
        assert len(replace_activations(network, "lpflu", strict=False).left) == 1
    else:
        assert [p.path for p in replace_activations(network, "lpflu").placements] == ["1.relu", "2"]


def test_a_scaled_activation_keeps_its_scale():
    class Scaled(nn.Module):
        def forward(self, x):
            return F.relu(x, inplace=True).mul_(1.7)

    network = nn.Sequential(nn.Linear(6, 6), Scaled(), nn.Linear(6, 6))
    assert [p.path for p in replace_activations(network, "relu").placements] == ["1.relu"]
    assert network[1](torch.ones(1)).item() == pytest.approx(1.7)


def test_a_value_read_again_after_an_in_place_activation_is_refused():
    class Aliased(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.layer(self.act(x.view(-1, 6))) + x  # x is no longer what was passed

    with pytest.raises(UserError, match=r"near add in 1, a value is read again after an in-place activation"):
        replace_activations(network_of(Aliased()), "lpflu")


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 6)

    def forward(self, x):
        return torch.maximum(x, self.mix(x))


def test_a_class_can_be_registered():
    class Mine(Weighted):
        pass

    network = network_of(Mine(), nn.ReLU())
    assert [p.path for p in replace_activations(copy.deepcopy(network), "lpflu").placements] == ["2"]
    register_nonlinearity(Weighted)
    assert [p.old for p in replace_activations(network, "lpflu").placements] == ["Mine", "ReLU"]
    with pytest.raises(TypeError, match=r"nn\.Module class"):
        register_nonlinearity(torch.relu)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.act = nn.ReLU()

    def forward(self, x, wanted):
        return self.layer(self.act(self.layer(x))) + wanted


def test_a_network_that_cannot_be_traced_says_so():
    with pytest.raises(UserError, match=r"Branching can't be traced \(TypeError: .*wanted.*pass inputs="):
        replace_activations(Branching(), "lpflu")
    with pytest.raises(
        UserError, match=r"^Branching: it takes none of the inputs tried \(TypeError: .*wanted.*pass inputs="
    ):
        verify_swap(Branching())
    report = replace_activations(Branching(), "lpflu", strict=False)
    assert report.remarks()[0].startswith("calls of functions could not be seen")
    assert [p.path for p in report.placements] == ["act"]
    given = replace_activations(Branching(), "lpflu", inputs=(torch.zeros(2, 6), torch.zeros(())))
    assert (given.untraced, len(given.placements)) == ("", 1)


class OnValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.act, self.other = nn.Linear(6, 6), nn.ReLU(), nn.GELU()

    def forward(self, x):
        act = self.act if x.sum() > -1e9 else self.other
        return self.layer(act(self.layer(x)))


def test_a_network_whose_path_depends_on_values_says_so():
    report = replace_activations(OnValues(), "lpflu")
    assert [p.path for p in report.placements] == ["act"]
    assert [(k.path, k.why) for k in report.kept] == [("other", "never called")]
    assert report.remarks()[0].startswith("its forward depends on values")
    assert report.summary()["on_values"]
    assert not replace_activations(network_of(nn.ReLU()), "lpflu").summary()["on_values"]


def test_torchs_encoder_layer_does_not_go_on_with_its_own_kernel():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    network = nn.TransformerEncoder(layer, 2)
    x = torch.randn(2, 5, 8)
    report = replace_activations(network, "gish", inputs=x)
    assert [p.path for p in report.placements] == ["layers.0.relu", "layers.1.relu"]
    trained = network(x)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), trained)


def test_weights_of_the_original_network_load_with_one_warning():
    original, swapped = (torchvision.models.resnet18(num_classes=3) for _ in range(2))
    replace_activations(swapped, "lpflu")
    with pytest.warns(UserWarning, match="another activation function") as caught:
        swapped.load_state_dict(original.state_dict())
    assert len({str(w.message) for w in caught}) == 1
    assert torch.equal(swapped.layer4[1].conv2.weight, original.layer4[1].conv2.weight)
    with warnings.catch_warnings(action="error"):
        swapped.load_state_dict(swapped.state_dict())


def test_new_parameters_follow_the_networks_device():
    with torch.device("meta"):
        network = network_of(nn.ReLU())
    replace_activations(network, "prelu")
    assert network[1].weight.is_meta


TRAINABLE = [
    "resnet18",
    "mobilenet_v3_small",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("densenet121", "googlenet", "efficientnet_b0")),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("shufflenet_v2_x0_5", "squeezenet1_1", "regnet_y_400mf")),
]


@pytest.mark.parametrize("activation", ["relu", "gelu"])  # keeps its output, keeps its input
@pytest.mark.parametrize("name", TRAINABLE)
def test_one_step_after_the_swap(name, activation):
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, num_classes=3, **extra).train()
    replace_activations(network, activation)
    weight = next(network.parameters())
    before = weight.detach().clone()
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    assert weight.isfinite().all()
    assert not torch.equal(weight, before)


@pytest.mark.parametrize("name", ["dm_nfnet_f0", "resnet10t", "test_vit"])
def test_timm_networks_have_nothing_left(name):
    with torch.device("meta"):
        network = timm.create_model(name)
    report = replace_activations(network, "lpflu")
    assert report.coverage == 1
    assert report.counts()["slopes"]["ema"] > 0
    assert not any(type(m).__name__ in ("ReLU", "GELU", "SiLU") for m in network.modules())


class Caching(nn.Module):
    """Keeps in evaluation what it has computed once, as attention with a table of biases does."""

    def __init__(self):
        super().__init__()
        self.layer, self.bias, self.kept = nn.Linear(6, 6), nn.Parameter(torch.ones(6)), {}

    def forward(self, x):
        if "bias" not in self.kept:
            self.kept["bias"] = self.bias * 2
        return self.layer(F.relu(x + self.kept["bias"]))


def test_a_trace_leaves_no_caches_behind():
    network = network_of(Caching(), Block())
    assert replace_activations(network, "relu").placements[0].path == "1.relu"
    assert network[1].kept == {}
    assert all(module.training for module in network.modules())


class HookInstalling(nn.Sequential):
    """As Hugging Face's models do, it installs hooks that collect outputs when it is first run."""

    def forward(self, x):
        if not hasattr(self, "_installed"):
            self[0].register_forward_hook(lambda module, args, output: self.collected.append(output))
            self._installed = True
        self.collected = []
        y = super().forward(x)
        assert len(self.collected) == 1, "hooks installed twice"
        return y


def test_a_trace_leaves_no_hooks_behind():
    network = HookInstalling(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    replace_activations(network, "lpflu")
    assert not network[0]._forward_hooks
    network(torch.ones(2, 3))
    assert len(network[0]._forward_hooks) == 1


def test_a_recurrent_layers_gates_are_its_own():
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.LSTM(6, 6))
    assert replace_activations(network, "lpflu", inputs=torch.zeros(2, 3, 6), strict=False).left == []
