"""A module outlives its process and leaves PyTorch: state, copies, pickles, torch.compile, torch.export, ONNX."""

import copy
import io
import pickle

import pytest
import torch
from activation_reference import NAMES
from torch import nn

from lpflu_bench.activations import create_activation
from lpflu_bench.activations.leaky import draw_slopes, update_slope_averages


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), create_activation(name), nn.Flatten(), nn.Linear(64, 2)
    )
    with torch.no_grad():
        for parameter in layers[2].parameters():
            parameter.mul_(1.1)
    draw_slopes(layers, seed=0, step=0)
    update_slope_averages(layers)
    return layers


IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name):
    trained = network(name).eval()
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh = network(name).eval()
    fresh[2] = create_activation(name).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh(IMAGES), trained(IMAGES))


@pytest.mark.parametrize("name", NAMES)
def test_deepcopy_and_pickle(name):
    original = network(name).eval()
    copied = copy.deepcopy(original)
    assert torch.equal(copied(IMAGES), original(IMAGES))
    assert torch.equal(pickle.loads(pickle.dumps(original))(IMAGES), original(IMAGES))
    for parameter in copied[2].parameters():
        with torch.no_grad():
            parameter.add_(0.3)
    assert not any(torch.equal(a, b) for a, b in zip(copied[2].parameters(), original[2].parameters(), strict=True))


def test_export_in_training_mode():
    for name in ("rrelu", "eelu", "lpflu"):
        exported = torch.export.export(create_activation(name), (torch.randn(5),))
        assert exported.module()(torch.randn(5)).shape == (5,)


def test_a_new_slope_does_not_compile_again():
    torch.compiler.reset()
    counts = []

    def backend(graph, inputs):
        counts.append(len(inputs))
        return graph

    module = create_activation("lpflu")
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    x = torch.tensor([-2.0, 1.0])
    outputs = []
    for step in range(4):
        draw_slopes(module, seed=0, step=step)
        outputs.append(compiled(x))
        torch.testing.assert_close(outputs[-1], module(x))
    assert len(counts) == 1
    assert not torch.equal(outputs[0], outputs[1])


# By the dynamo exporter, in evaluation; the formulas with all their digits take 13 to 25.
NODES = {"lpflu": 7, "pflu": 7, "gish": 6, "smu": 5, "telu": 5, "phish": 8, "mpelu": 6, "golu": 6}
# Of functions that ONNX has an operator for: that, or what ONNX Runtime runs faster (benchmarks/onnx_forms.py).
OPERATORS = {
    "mish": "Add Clip Div Exp Mul",
    "softplus": "Abs Add Exp Log Neg Relu",
    "elu": "Add Clip Exp Relu Sub",
    "celu": "Add Clip Exp Relu Sub",
    "selu": "Add Clip Exp Mul Relu Sub",
    "gelu": "Gelu",
    "hardswish": "HardSwish",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "silu": "Mul Sigmoid",
}


def onnx_operators(names, folder):
    """The operators that each function becomes in an exported network."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from lpflu_bench.evaluation.onnx_export import export_onnx, export_program, nodes_of_layers

    layers = nn.Sequential()
    for name in names:
        layers.append(nn.Conv2d(2, 2, 1))
        layers.append(create_activation(name))
    layers.eval()
    export_onnx(export_program(layers, torch.randn(2, 2, 3, 3)), ["y"], folder / "layers.onnx")
    model = onnx.load(folder / "layers.onnx")
    found = nodes_of_layers(model, [str(2 * index + 1) for index in range(len(names))])
    return {name: [node.op_type for node in nodes] for name, nodes in zip(names, found.values(), strict=True)}


def test_inference_form_takes_few_onnx_nodes(tmp_path):
    counts = {name: len(operators) for name, operators in onnx_operators(list(NODES), tmp_path).items()}
    assert {name: count for name, count in counts.items() if count > NODES[name]} == {}


def test_onnx_operators_are_those_that_run_faster(tmp_path):
    found = onnx_operators(list(OPERATORS), tmp_path)
    assert {name: " ".join(sorted(set(operators))) for name, operators in found.items()} == OPERATORS


def test_softplus_keeps_its_threshold_in_exported_graphs():
    module, x = create_activation("softplus", threshold=1.0).eval(), torch.linspace(-3, 3, 8).view(2, 4)
    torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), module(x))
