"""Export and INT8 of small networks of each kind: outputs, scores, nodes, signal-to-noise; what is refused."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.evaluation import onnx_export
from lpflu_bench.evaluation.cores import core_of, outputs_of, with_relu
from lpflu_bench.evaluation.latency import measure_latency, torch_runner
from lpflu_bench.evaluation.onnx_export import export_onnx, export_program, nodes_of_layers, outputs_of_layers
from lpflu_bench.evaluation.quantize import ratio_in_decibels
from lpflu_bench.modules import ClassificationModule, DetectionModule, SegmentationModule

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from lpflu_bench.evaluation.onnx_runtime import OnnxNetwork, make_session  # noqa: E402
from lpflu_bench.evaluation.quantize import quantize, signal_to_noise  # noqa: E402


class Square(nn.Module):
    """An activation of three nodes."""

    def forward(self, x):
        return x.clamp(min=0) * x + 0.5 * x


def small_network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        Square(),
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), Square()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    layers(torch.randn(16, 3, 8, 8))  # moves the averages of batch norm
    return layers.eval()


PATHS = ["2", "3.1"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    network, inputs = small_network(), torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    export_onnx(export_program(network, inputs), ("logits",), folder / "a.onnx")
    quantize(folder / "a.onnx", folder / "a.int8.onnx", [inputs[:4], inputs[4:]], PATHS)
    return network, inputs, folder / "a.onnx", folder / "a.int8.onnx"


def test_the_onnx_file_gives_the_same_outputs_at_any_batch_size(exported):
    network, inputs, file, _ = exported
    running = OnnxNetwork(make_session(file))
    for count in (1, 3, 8):
        torch.testing.assert_close(running(inputs[:count]), network(inputs[:count]), rtol=1e-5, atol=1e-6)


def test_nodes_and_outputs_of_the_activation_layers(exported):
    network, inputs, file, _ = exported
    model = onnx.load(file)
    layers = nodes_of_layers(model, PATHS)
    assert {path: sorted(node.op_type for node in nodes) for path, nodes in layers.items()} == {
        path: ["Add", "Max", "Mul", "Mul"] for path in PATHS
    }
    names = outputs_of_layers(model, PATHS)
    seen = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(lambda _, __, y, path=path: seen.update({path: y}))
        for path in PATHS
    ]
    network(inputs)
    for hook in hooks:
        hook.remove()
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values())
    values = make_session(model.SerializeToString()).run(list(names.values()), {"images": inputs.numpy()})
    for path, value in zip(names, values, strict=True):
        np.testing.assert_allclose(value, seen[path].detach().numpy(), rtol=1e-4, atol=1e-5)


def test_int8_is_close_smaller_in_weights_and_keeps_formulas_in_float(exported):
    network, inputs, _file, quantized = exported
    outputs = OnnxNetwork(make_session(quantized))(inputs)
    error = (outputs - network(inputs)).abs().max() / network(inputs).abs().max()
    assert 0 < error < 0.1
    model = onnx.load(quantized)
    assert {tensor.data_type for tensor in model.graph.initializer if tensor.name.endswith("weight_quantized")} == {
        onnx.TensorProto.INT8
    }
    produced = {output: node for node in model.graph.node for output in node.output}
    for nodes in nodes_of_layers(model, PATHS).values():
        assert len(nodes) == 4
        inside = {output for node in nodes for output in node.output}
        sources = {produced[name].op_type for node in nodes for name in node.input if name in produced}
        read = {name for node in nodes for name in node.input if name in produced} - inside
        assert {produced[name].op_type for name in read} == {"DequantizeLinear"}  # what it reads is 8-bit
        assert "QuantizeLinear" not in sources


def test_signal_to_noise_is_that_of_the_layers_outputs(exported):
    _network, inputs, file, quantized = exported
    noise = signal_to_noise(file, quantized, inputs, PATHS)
    assert list(noise) == PATHS
    assert all(15 < value < 60 for value in noise.values())
    assert noise["3.1"] < noise["2"] + 3  # the noise of earlier layers is in it


def test_ratio_in_decibels():
    x = np.array([3.0, 4.0])
    assert ratio_in_decibels(x, x + np.array([0.3, 0.4])) == pytest.approx(20.0)
    assert ratio_in_decibels(x, x) == math.inf


@pytest.mark.parametrize("name", ["relu", "lpflu"])
def test_a_twin_with_relu(name):
    module = ClassificationModule("resnet8", 4, activation=name).eval()
    paths = [placement.path for placement in module.placement.placements]
    twin = copy.deepcopy(module.network)
    with_relu(twin, paths)
    assert len(paths) == 7
    assert all(type(twin.get_submodule(path)) is nn.ReLU for path in paths)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(twin(images), module.network(images)) == (name == "relu")


def test_detector_around_its_own_core_is_the_detector():
    module = DetectionModule(num_classes=3, reduced_tail=True).eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        expected = module(images)
        core = core_of(module.network, "detection")
        assert len(outputs_of(core.module, core.inputs(images))) == len(core.output_names)
        module.network = core.network_with(core.module)
        again = module(images)
    assert "non-maximum suppression" in core.outside
    for ours, theirs in zip(again, expected, strict=True):
        assert len(ours["boxes"]) > 0
        for key in ("boxes", "scores", "labels"):
            assert torch.equal(ours[key], theirs[key])


def test_paths_of_a_detectors_core_are_the_networks():
    module = DetectionModule(num_classes=1, reduced_tail=True, activation="lpflu")
    core = core_of(module.network, "detection")
    for placement in module.placement.placements:
        assert core.module.get_submodule(placement.path) is module.network.get_submodule(placement.path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_exports_of_the_other_kinds(kind, tmp_path):
    if kind == "detection":
        module = DetectionModule(num_classes=3, reduced_tail=True, activation="lpflu").eval()
    else:
        module = SegmentationModule(num_classes=3, encoder_name="resnet18", activation="lpflu").eval()
    core = core_of(module.network, kind)
    inputs = core.inputs(torch.rand(3, 3, 96, 96))
    export_onnx(export_program(core.module, inputs), core.output_names, tmp_path / "a.onnx")
    paths = [placement.path for placement in module.placement.placements]
    running = OnnxNetwork(make_session(tmp_path / "a.onnx"))
    for ours, theirs in zip(outputs_of(running, inputs[:2]), outputs_of(core.module, inputs[:2]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert set(outputs_of_layers(onnx.load(tmp_path / "a.onnx"), paths)) == set(paths)
    quantize(tmp_path / "a.onnx", tmp_path / "b.onnx", [inputs], paths)
    assert set(signal_to_noise(tmp_path / "a.onnx", tmp_path / "b.onnx", inputs, paths)) == set(paths)


def test_latency_is_measured_for_both_networks_of_each_form():
    calls = []

    def runner(name):
        return lambda inputs: calls.append((name, len(inputs)))

    forms = {form: (runner(form), runner(f"{form}-relu")) for form in ("a", "b")}
    latencies = measure_latency(forms, torch.zeros(3, 1), 1, repeats=4, warmups=1)
    assert set(latencies) == {"a", "b"}
    assert {name: calls.count((name, 3)) for name, _ in calls} == dict.fromkeys(["a", "a-relu", "b", "b-relu"], 5)
    assert latencies["a"].batch_size == 3
    assert latencies["a"].seconds.low <= latencies["a"].seconds.median <= latencies["a"].seconds.high


def test_torch_runner_leaves_the_threads_as_they_were():
    before, seen = torch.get_num_threads(), []
    torch_runner(lambda x: seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled())), 2)(None)
    assert seen == [(2, True)]
    assert torch.get_num_threads() == before


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_an_operator_that_the_exporter_lacks(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(Bessel())).eval()
    program = export_program(network, torch.randn(2, 3, 8, 8))
    with pytest.raises(UserError) as error:
        export_onnx(program, ("y",), tmp_path / "a.onnx")
    assert "lacks the operator prims.bessel_j0, needed by layer 1.0 (Bessel); " in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_control_flow_that_depends_on_values():
    with pytest.raises(UserError) as error:
        export_program(nn.Sequential(nn.Conv2d(3, 4, 3), Branch()).eval(), torch.randn(2, 3, 8, 8))
    assert "torch.export cannot export the network, at " in str(error.value)
    assert "test_deploy.py:" in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_packages(monkeypatch):
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(UserError, match=r"^onnxruntime not installed: pip install 'lpflu-bench\[deploy\]'$"):
        onnx_export.require_onnx()


def test_a_file_that_onnx_runtime_cannot_run(tmp_path):
    (tmp_path / "a.onnx").write_text(json.dumps({}))
    with pytest.raises(UserError, match="ONNX Runtime cannot run the exported network") as error:
        make_session(tmp_path / "a.onnx")
    assert "\n" not in str(error.value)


def test_what_torch_export_cannot_do_is_one_line(monkeypatch):
    def refuse(*_, **__):
        raise ValueError("a single line")

    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(UserError, match=r"^torch.export cannot export the network: ValueError: a single line$"):
        export_program(nn.Identity(), torch.zeros(2, 3))
