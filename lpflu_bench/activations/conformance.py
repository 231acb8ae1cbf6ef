"""What frameworks do to an activation module, as checks that any elementwise module can be put to.

``CHECKS[name](build, dtype)`` builds a module with ``build()`` and raises what went wrong, or nothing. Values and gradients are
compared with those of the module itself in eager mode; what is random in training is checked in evaluation mode.

>>> import torch
>>> from lpflu_bench.activations.conformance import CHECKS
>>> CHECKS["fx"](torch.nn.SiLU)
>>> CHECKS["vmap"](torch.nn.SiLU, torch.float64)
"""

import contextlib
import copy
import io
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from lpflu_bench.activations.fused import MINIMUM_ELEMENTS, use_mode

Build = Callable[[], nn.Module]
Check = Callable[[Build, torch.dtype], None]

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

CHECKS: dict[str, Check] = {}
"""The checks by name, in the order of their cost."""

FLOAT32_ONLY = {"autocast", "quantize", "meta"}
"""Checks that choose their dtypes themselves."""

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}
_DYNAMIC_BATCH = ({0: torch.export.Dim("batch", min=1, max=1 << 16)},)


def _check(check: Callable[..., None]) -> Callable[..., None]:
    def run(build: Build, dtype: torch.dtype = torch.float32) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what PyTorch deprecates, and of its exporter about itself
            check(build, dtype)

    run.__doc__ = check.__doc__
    CHECKS[check.__name__] = run
    return run


def _module(build: Build, dtype: torch.dtype) -> nn.Module:
    return build().to(dtype).eval()


def _inputs(dtype: torch.dtype, batch: int = 8) -> Tensor:
    """[batch, 4, 6, 6]: numbers around 0, and a few far away."""
    x = torch.linspace(-20, 20, batch * 144)
    x[:: batch * 36] = torch.tensor([-1e4, -300.0, 300.0, 1e4])
    return x.view(batch, 4, 6, 6).to(dtype)


def _results(module: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """The values, the input's gradient, and each parameter's."""
    x = x.detach().clone().requires_grad_()
    y = module(x)
    if y.shape != x.shape:
        raise AssertionError(f"the result's shape is {list(y.shape)} for x of shape {list(x.shape)}")
    if y.dtype is not x.dtype:
        raise AssertionError(f"the result's dtype is {y.dtype} for x of {x.dtype}")
    weights = torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *parameters], weights, materialize_grads=True)]


def _parameters(module: nn.Module) -> list[Tensor]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _same(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare results; a parameter's gradient is a sum over the input, of terms that may cancel."""
    y = expected[0]
    tolerance = _TOLERANCE[dtype]
    for what, a, b in zip(
        ("values", "gradient of x", *["gradient of a parameter"] * len(expected)), found, expected, strict=False
    ):
        scale = 1.0 if b.shape == y.shape else y.numel() + b.abs().max().item()
        try:
            torch.testing.assert_close(a.to(b.dtype), b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        except AssertionError as error:
            greatest = next(
                (line for line in str(error).splitlines() if line.startswith("Greatest absolute")), str(error)
            )
            raise AssertionError(f"{what}: {greatest}") from error


def _same_values(found: Tensor, expected: Tensor, x: Tensor, dtype: torch.dtype) -> None:
    """Compare values in units of 1 + |x|: an exported graph may take a shorter form of the formula."""
    unit = 1 + x.double().abs()
    _same([found / unit], [expected / unit], dtype)


@_check
def eager(build: Build, dtype: torch.dtype) -> None:
    """The formula, operation by operation: finite, and float64's values and gradients rounded."""
    module = _module(build, dtype)
    x = _inputs(dtype)
    with use_mode("eager"):
        found = _results(module, x, [])
        expected = _results(copy.deepcopy(module).double(), x.double(), [])
    _same(found, [each.to(dtype) for each in expected], dtype)
    overflows = expected[0].abs() > torch.finfo(dtype).max
    for what, each in zip(("a value", "a gradient"), found, strict=True):
        bad = ~each.isfinite() & ~overflows
        if bad.any():
            raise AssertionError(f"{what} at x = {x[bad][0].item():g} is {each[bad][0].item()}")


@_check
def fused(build: Build, dtype: torch.dtype) -> None:
    """The compiled kernels of this package, where it has one for the function and dtype."""
    module = _module(build, dtype)
    x = _inputs(dtype, batch=-(-MINIMUM_ELEMENTS // 144))
    results = []
    for mode in ("fused", "eager"):
        with use_mode(mode):
            results.append(_results(module, x, _parameters(module)))
    _same(results[0], results[1], dtype)


@_check
def empty(build: Build, dtype: torch.dtype) -> None:
    """Tensors without elements and without dimensions."""
    module = _module(build, dtype)
    for shape in ((), (0,), (2, 0, 4)):
        _results(module, torch.ones(shape, dtype=dtype), [])


@_check
def meta(build: Build, dtype: torch.dtype) -> None:
    """Built on the meta device, ``to_empty``, and ``reset_parameters`` of each module restores the initial state."""
    del dtype
    with torch.device("meta"):
        module = build()
    module.to_empty(device="cpu")
    for tensor in module.state_dict().values():
        tensor.fill_(77)
    for submodule in module.modules():
        reset = getattr(submodule, "reset_parameters", None)
        if submodule.state_dict() and callable(reset):
            reset()
    torch.testing.assert_close(dict(module.state_dict()), dict(build().state_dict()), rtol=0, atol=0)


@_check
def autocast(build: Build, dtype: torch.dtype) -> None:
    """Between layers under autocast to bfloat16: as in float32, within bfloat16's digits."""
    del dtype
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6), build()).eval()
    x = _inputs(torch.float32).clamp(-20, 20)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
    y.float().sum().backward()
    if not all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in network.get_submodule("0").parameters()
    ):
        raise AssertionError("the gradient of the layer before is not finite")
    torch.testing.assert_close(y.float(), network(x), rtol=0.05, atol=0.1)


@_check
def vmap(build: Build, dtype: torch.dtype) -> None:
    """``torch.func``: vmap of grad equals autograd, and so does forward-mode differentiation."""
    module = _module(build, dtype)
    x = _inputs(dtype).flatten()
    _, expected = _results(module, x, [])
    ones = torch.linspace(-1, 1, x.numel()).to(dtype)
    batched = torch.func.vmap(torch.func.grad(lambda t: module(t)))(x) * ones
    forward = torch.func.jvp(module, (x,), (ones,))[1]
    _same([module(x), batched], [module(x), expected], dtype)
    _same([module(x), forward], [module(x), expected], dtype)


@_check
def fx(build: Build, dtype: torch.dtype) -> None:
    """``torch.fx.symbolic_trace`` of a network, as feature extraction and quantization do."""
    network = nn.Sequential(nn.Linear(6, 6), build()).to(dtype).eval()
    traced = torch.fx.symbolic_trace(network)
    x = _inputs(dtype)
    torch.testing.assert_close(traced(x), network(x), rtol=0, atol=0, equal_nan=True)


@_check
def torchscript(build: Build, dtype: torch.dtype) -> None:
    """``torch.jit.trace``, saved and loaded, and ``torch.jit.script`` of a network."""
    module = _module(build, dtype)
    x = _inputs(dtype)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, x[:2], check_trace=False), file)  # type: ignore[no-untyped-call]
    file.seek(0)
    loaded = torch.jit.load(file)  # type: ignore[no-untyped-call]
    _same_values(loaded(x), module(x), x, dtype)
    _same_values(torch.jit.script(nn.Sequential(module))(x), module(x), x, dtype)


@_check
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


@_check
def export(build: Build, dtype: torch.dtype) -> None:
    """``torch.export`` with a free batch size."""
    module = _module(build, dtype)
    program = torch.export.export(module, (_inputs(dtype, 2),), dynamic_shapes=_DYNAMIC_BATCH)
    x = _inputs(dtype)
    _same_values(program.module()(x), module(x), x, dtype)


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

    module = _Float32Outside(_module(build, dtype), dtype).eval()
    x = _inputs(torch.float32)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder, "module.onnx")
        free = {"dynamic_shapes": _DYNAMIC_BATCH} if dynamo else {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
        torch.onnx.export(module, (_inputs(torch.float32, 2),), path, dynamo=dynamo, verbose=False, **free)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    _same_values(torch.from_numpy(found), module(x), x, dtype if dtype.itemsize <= 4 else torch.float32)


@_check
def onnx(build: Build, dtype: torch.dtype) -> None:
    """The ONNX exporter with a free batch size, run by ONNX Runtime."""
    _run_by_onnx_runtime(build, dtype, dynamo=True)


@_check
def onnx_torchscript(build: Build, dtype: torch.dtype) -> None:
    """The older ONNX exporter, by TorchScript, run by ONNX Runtime."""
    _run_by_onnx_runtime(build, dtype, dynamo=False)


@_check
def fsdp2(build: Build, dtype: torch.dtype) -> None:
    """``fully_shard`` over the processes there are: sharded gradients are the whole network's."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    torch.manual_seed(0)
    stored = torch.float64 if dtype is torch.float64 else torch.float32
    network = nn.Sequential(nn.Linear(6, 6), build()).to(stored).eval()
    x = _inputs(stored).clamp(-20, 20)
    whole = copy.deepcopy(network)
    low = torch.autocast("cpu", dtype, enabled=dtype.itemsize < 4)
    with low:
        whole(x).float().square().mean().backward()
    with _process_group():
        policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=stored)
        fully_shard(network, mesh=init_device_mesh("cpu", (distributed.get_world_size(),)), mp_policy=policy)
        network(x).float().square().mean().backward()
        # In units of the largest: a parameter's gradient is a sum of terms that may cancel.
        scale = max(1.0, *(each.grad.abs().max().item() for each in whole.parameters() if each.grad is not None))
        for sharded, parameter in zip(network.parameters(), whole.parameters(), strict=True):
            if sharded.grad is None or parameter.grad is None:
                raise AssertionError("a parameter has no gradient")
            found = sharded.grad.full_tensor()  # type: ignore[attr-defined]
            tolerance = 4 * _TOLERANCE[dtype]
            torch.testing.assert_close(found, parameter.grad, rtol=tolerance, atol=tolerance * scale)


@contextlib.contextmanager
def _process_group() -> Iterator[None]:
    """The process group that is there, or one of this process alone."""
    if distributed.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            yield
        finally:
            distributed.destroy_process_group()


class _SideBySide(nn.Module):
    """Modules that each have an input of their own."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        return [module(x) for module, x in zip(self.each, inputs, strict=True)]


def _results_of_each(module: _SideBySide, run: Callable[..., list[Tensor]], dtype: torch.dtype) -> list[list[Tensor]]:
    inputs = [_inputs(dtype).requires_grad_() for _ in module.each]
    values = run(*inputs)
    wanted = [[x, *_parameters(each)] for x, each in zip(inputs, module.each, strict=True)]
    every = [tensor for each in wanted for tensor in each]
    weights = [torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype) for y in values]
    found = iter(torch.autograd.grad(values, every, weights, materialize_grads=True))
    return [[y, *(next(found) for _ in each)] for y, each in zip(values, wanted, strict=True)]


def compile_together(builds: Sequence[Build], dtype: torch.dtype = torch.float32) -> list[Exception | None]:
    """The check ``compile`` of several modules in one graph, in a fraction of the time; what went wrong with each."""
    torch.compiler.reset()
    module = _SideBySide([_module(build, dtype) for build in builds])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _results_of_each(module, torch.compile(module, fullgraph=True), dtype)
    except Exception as error:  # which of them is to blame?
        return [error] if len(builds) == 1 else [compile_together([build], dtype)[0] for build in builds]
    failures: list[Exception | None] = []
    for a, b in zip(found, _results_of_each(module, module, dtype), strict=True):
        try:
            _same(a, b, dtype)
            failures.append(None)
        except AssertionError as error:
            failures.append(error)
    return failures


@_check
def compile(build: Build, dtype: torch.dtype) -> None:
    """``torch.compile`` in one graph, before any call in eager mode: values and gradients."""
    (failure,) = compile_together([build], dtype)
    if failure is not None:
        raise failure
