"""What takes a network out of PyTorch: TorchScript, INT8, ``torch.export``, ONNX."""

import contextlib
import copy
import io
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from lpflu_bench.activations.conformance.common import (
    DYNAMIC_BATCH,
    Build,
    check,
    compare_values,
    module_of,
    sample_inputs,
)


@check
def torchscript(build: Build, dtype: torch.dtype) -> None:
    """``torch.jit.trace``, saved and loaded, and ``torch.jit.script`` of a network."""
    module = module_of(build, dtype)
    x = sample_inputs(dtype)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, x[:2], check_trace=False), file)  # type: ignore[no-untyped-call]
    file.seek(0)
    loaded = torch.jit.load(file)  # type: ignore[no-untyped-call]
    compare_values(loaded(x), module(x), x, dtype)
    compare_values(torch.jit.script(nn.Sequential(module))(x), module(x), x, dtype)


@check
def quantize(build: Build, dtype: torch.dtype) -> None:
    """Static INT8 quantization by torch.fx: at least 20 dB of signal to noise between two convolutions."""
    del dtype
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 4, 1), build(), nn.Conv2d(4, 4, 1)).eval()
    x = torch.randn(8, 4, 6, 6)
    expected = network(x)
    engine = torch.backends.quantized.engine
    prepared = prepare_fx(copy.deepcopy(network), get_default_qconfig_mapping(engine), (x,))
    prepared(x)
    found = convert_fx(prepared)(x)
    ratio = 10 * math.log10((expected.square().sum() / (found - expected).square().sum().clamp_min(1e-30)).item())
    if ratio < 20:
        raise AssertionError(f"the signal-to-noise ratio is {ratio:.1f} dB")


@check
def export(build: Build, dtype: torch.dtype) -> None:
    """``torch.export`` with a free batch size."""
    module = module_of(build, dtype)
    program = torch.export.export(module, (sample_inputs(dtype, 2),), dynamic_shapes=DYNAMIC_BATCH)
    x = sample_inputs(dtype)
    compare_values(program.module()(x), module(x), x, dtype)


class _Float32Outside(nn.Module):
    """A module that computes in its dtype between a float32 input and output, since NumPy has no bfloat16."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x.to(self.dtype))
        return result.float()


def _run_by_onnx_runtime(build: Build, dtype: torch.dtype, dynamo: bool) -> None:
    import onnxruntime

    module = _Float32Outside(module_of(build, dtype), dtype).eval()
    x = sample_inputs(torch.float32)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder, "module.onnx")
        free = {"dynamic_shapes": DYNAMIC_BATCH} if dynamo else {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
        torch.onnx.export(module, (sample_inputs(torch.float32, 2),), path, dynamo=dynamo, verbose=False, **free)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    compare_values(torch.from_numpy(found), module(x), x, dtype if dtype.itemsize <= 4 else torch.float32)


@check
def onnx(build: Build, dtype: torch.dtype) -> None:
    """The ONNX exporter with a free batch size, run by ONNX Runtime."""
    _run_by_onnx_runtime(build, dtype, dynamo=True)


@check
def onnx_torchscript(build: Build, dtype: torch.dtype) -> None:
    """The older ONNX exporter, by TorchScript, run by ONNX Runtime."""
    _run_by_onnx_runtime(build, dtype, dynamo=False)
