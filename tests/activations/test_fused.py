"""The fast path gives what the formulas give, keeps the input alone, and steps aside where it must."""

import os
import re
import subprocess
import sys
import warnings

import pytest
import torch

from lpflu_bench import functional
from lpflu_bench.activations import create_activation, fused, kernel_call, kernels, node
from lpflu_bench.activations.fused import apply, get_mode, set_mode, use_mode

SMOOTH_PARAMETERS = {
    functional.smu: (0.2, 1.0),
    functional.lpflu: (0.01,),
    functional.swish: (1.2,),
    functional.pflu: (),
}
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}


@pytest.fixture(autouse=True)
def _small_tensors_too(monkeypatch):
    monkeypatch.setattr(fused, "MINIMUM_ELEMENTS", 1)


def gradients(formula, x, parameters, mode):
    x = x.detach().requires_grad_()
    tensors = [p.detach().requires_grad_() if isinstance(p, torch.Tensor) else p for p in parameters]
    with use_mode(mode):
        y = apply(formula, x, *tensors)
    wanted = [x, *(t for t in tensors if isinstance(t, torch.Tensor))]
    weights = torch.linspace(-1, 1, max(x.numel(), 1)).reshape(-1)[: x.numel()].reshape(x.shape).to(x.dtype)
    return y, *torch.autograd.grad(y, wanted, weights)


def assert_same(formula, x, parameters, mode="fused"):
    plain = gradients(formula, x, parameters, "eager")
    fast = gradients(formula, x, parameters, mode)
    tolerance = TOLERANCE[x.dtype]
    for expected, found in zip(plain, fast, strict=True):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        scale = 1 if expected.shape == x.shape else x.numel()  # a parameter's gradient is a sum over x
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * scale)
    assert fast[0].stride() == fast[1].stride() == plain[0].stride()


def used(formula) -> bool:
    """Whether a call in eager mode goes through the kernels."""
    y = apply(formula, torch.ones(4, requires_grad=True))
    return is_fused(y)


def is_fused(y) -> bool:
    """Whether y is a result of the kernels, by the Python function or by the node in C++."""
    return "Fused" in y.grad_fn.name()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_lpflu_with_a_trained_slope(dtype):
    x = 3 * torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    x.view(-1)[:4] = torch.tensor([0.0, -0.0, 300.0, -300.0])
    assert_same(functional.lpflu, x.to(dtype), [torch.tensor(0.05)])


def test_layouts():
    x = torch.randn(4, 6, 8, 10, generator=torch.Generator().manual_seed(1))
    slope = torch.tensor(0.1)
    for given in (
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(1, 3),
        x.permute(3, 0, 2, 1),
        x[:, ::2, :, 1:],
        x[:1, :1, :1].expand(4, 6, 8, 10),
        x[0, 0, 0, 0],
        x[:0],
        x.view(4, 6, 2, 4, 10).contiguous(memory_format=torch.channels_last_3d),
        x[1:],
    ):
        assert_same(functional.lpflu, given, [slope])


def test_a_parameter_for_each_channel():
    x = torch.randn(4, 6, 8, 10, generator=torch.Generator().manual_seed(1))
    a = torch.linspace(0.1, 0.6, 6)
    assert_same(functional.prelu, x, [a])
    assert_same(functional.prelu, x.contiguous(memory_format=torch.channels_last), [a])
    assert_same(functional.prelu, x[:, :, 0, 0], [a])


def test_the_input_is_the_only_large_tensor_kept():
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 8, 8).contiguous(memory_format=memory_format).requires_grad_()
        kept = []

        def pack(tensor, kept=kept):
            kept.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            apply(functional.lpflu, x, torch.tensor(0.01, requires_grad=True))
        large = [tensor for tensor in kept if tensor.numel() > 1]
        assert [tensor.data_ptr() for tensor in large] == [x.data_ptr()]


def test_no_size_and_no_slope_compiles_again():
    apply(functional.lpflu, torch.randn(5000, requires_grad=True), torch.tensor(0.1)).sum().backward()
    before = kernels.kernel.cache_info().misses
    for number, shape in enumerate([(2, 8, 30, 31), (3, 4, 41, 17), (16, 300), (7, 2, 5, 9, 11), (1, 64, 80, 1), ()]):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            if memory_format is torch.channels_last and len(shape) != 4:
                continue
            x = torch.randn(shape).contiguous(memory_format=memory_format).requires_grad_()
            apply(functional.lpflu, x, torch.tensor(number / 100)).sum().backward()
            apply(functional.lpflu, x, number / 1000).sum().backward()
    assert kernels.kernel.cache_info().misses == before


def test_large_tensors_have_a_kernel_of_several_threads():
    x = torch.randn(node.SMALL + 5)
    assert_same(functional.pflu, x, [])


def test_a_result_can_be_changed_in_place():
    gradient = []
    for mode in ("eager", "fused"):
        x = torch.linspace(-2, 2, 96).view(2, 3, 4, 4).requires_grad_()
        with use_mode(mode):
            y = apply(functional.lpflu, x, 0.1)
        y.add_(1).mul_(2)
        gradient.append(torch.autograd.grad(y.sum(), x)[0])
    torch.testing.assert_close(gradient[1], gradient[0])


def test_changing_the_input_in_place_is_noticed():
    x = torch.randn(8, requires_grad=True)
    base = x * 1
    y = apply(functional.lpflu, base, 0.1)
    base.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_double_backward():
    x = torch.randn(64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    a = torch.tensor(0.2, requires_grad=True)
    results = []
    for mode in ("eager", "fused"):
        with use_mode(mode):
            y = apply(functional.lpflu, x, a)
        first = torch.autograd.grad((y**2).sum(), [x, a], create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), [x, a])
        results.append([*first, *second])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_parameter_that_depends_on_the_input():
    gradient = {}
    for mode in ("eager", "fused"):
        x = torch.linspace(-2, 2, 32, requires_grad=True)
        with use_mode(mode):
            y = apply(functional.lpflu, x, x.mean().sigmoid())
        gradient[mode] = torch.autograd.grad(y.sum(), x, create_graph=True)[0].detach()
    torch.testing.assert_close(gradient["fused"], gradient["eager"])


def test_function_transforms():
    x = torch.randn(5, 16)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(functional.pflu.composed(leaf).sum(), leaf)
    per_row = torch.func.vmap(torch.func.grad(lambda row: apply(functional.pflu, row).sum()))(x)
    torch.testing.assert_close(per_row, expected, rtol=1e-5, atol=1e-6)
    _, tangent = torch.func.jvp(lambda t: apply(functional.pflu, t), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, per_row, rtol=1e-5, atol=1e-6)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangent = torch.autograd.forward_ad.unpack_dual(apply(functional.pflu, dual)).tangent
    torch.testing.assert_close(tangent, per_row, rtol=1e-5, atol=1e-6)
    y = apply(functional.pflu, x.requires_grad_())
    batched = torch.autograd.grad(y, x, torch.stack([torch.ones_like(x)] * 2), is_grads_batched=True)[0]
    torch.testing.assert_close(batched[1], per_row, rtol=1e-5, atol=1e-6)


def test_inference_mode_no_grad_and_autocast():
    x = torch.randn(33)
    expected = functional.lpflu.composed(x, 0.1)
    with torch.inference_mode():
        torch.testing.assert_close(apply(functional.lpflu, x, 0.1), expected)
        torch.testing.assert_close(apply(functional.lpflu, x * 1, 0.3), functional.lpflu.composed(x, 0.3))
    with torch.no_grad():
        y = apply(functional.lpflu, x.clone().requires_grad_(), 0.1)
        torch.testing.assert_close(y, expected)
        assert not y.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        y = apply(functional.lpflu, x.clone().requires_grad_(), 0.3)
    assert y.dtype is torch.float32
    torch.testing.assert_close(y.detach(), functional.lpflu.composed(x, 0.3))
    # The floats of inference mode serve training, too.
    apply(functional.lpflu, x.clone().requires_grad_(), 0.3).sum().backward()


def test_where_the_formula_itself_runs():
    assert used(functional.pflu)
    with use_mode("eager"):
        assert not used(functional.pflu)
    for x in (torch.ones(4, dtype=torch.float64), torch.ones(4, device="meta")):
        y = apply(functional.pflu, x.requires_grad_())
        assert not is_fused(y)
        assert y.device == x.device
    exported = torch.export.export(create_activation("lpflu").eval(), (torch.randn(4, 8),))
    names = {str(node.target) for node in exported.graph.nodes}
    assert any("sqrt" in name for name in names)
    assert not any("autograd" in name.lower() or "Fused" in name for name in names)
    traced = torch.fx.experimental.proxy_tensor.make_fx(lambda t: apply(functional.pflu, t))(torch.randn(4))
    assert any("sqrt" in str(node.target) for node in traced.graph.nodes)


def test_small_tensors_compile_nothing_until_there_were_many(monkeypatch):
    monkeypatch.setattr(fused, "MINIMUM_ELEMENTS", 1 << 18)
    monkeypatch.setattr(fused, "SMALL_CALLS", 3)
    assert [used(functional.pflu) for _ in range(5)] == [False, False, False, True, True]


def test_the_decision_about_small_tensors_holds_whatever_the_count(monkeypatch):
    monkeypatch.setattr(fused, "MINIMUM_ELEMENTS", 1 << 18)
    monkeypatch.setattr(fused, "SMALL_CALLS", 2)
    fused.set_small_kernels(True)
    assert used(functional.pflu)
    fused.set_small_kernels(False)
    assert [used(functional.pflu) for _ in range(4)] == [False] * 4
    fused.set_small_kernels(None)
    assert [used(functional.pflu) for _ in range(4)] == [False, False, True, True]


USE_LPFLU = """
import torch
from lpflu_bench import functional
from lpflu_bench.activations import node

functional.lpflu(torch.randn(1 << 16, requires_grad=True), 0.1).sum().backward()
node.wait()
"""


@pytest.mark.slow
def test_processes_that_start_together_compile_each_kernel_once(tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {os.environ.get("CXX", "g++")} "$@"\n')
    compiler.chmod(0o755)
    environment = {**os.environ, "CXX": str(compiler), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    processes = [subprocess.Popen([sys.executable, "-c", USE_LPFLU], env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    compiled = re.findall(r"-o (\S+\.(?:main|unfinished)\.so)", (tmp_path / "calls").read_text())
    assert len(compiled) == len(set(compiled)) == 3  # forward, backward and the node


@pytest.mark.parametrize("in_c", [False, True])
def test_tensors_whose_memory_does_not_hold_their_values(monkeypatch, in_c):
    fused.set_small_kernels(True)
    x = torch.randn(8, requires_grad=True)
    apply(functional.pflu, x).sum().backward()
    node.wait()
    if not in_c:
        monkeypatch.setattr(node, "apply", None)
    for given in (torch._neg_view(torch.ones(8)), torch._efficientzerotensor(8)):
        torch.testing.assert_close(apply(functional.pflu, given), functional.pflu.composed(given))
        found = torch.autograd.grad(apply(functional.pflu, x), x, given)
        torch.testing.assert_close(found, torch.autograd.grad(functional.pflu.composed(x), x, given))


def test_a_hook_may_bring_the_input_back_in_another_memory_format():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    a = torch.rand(3, requires_grad=True)
    expected = torch.autograd.grad(functional.lpflu.composed(x, a).sum(), [x, a])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t.contiguous()):
        y = apply(functional.lpflu, x, a)
        assert is_fused(y)
        found = torch.autograd.grad(y.sum(), [x, a])
    for each, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(each, wanted)


def uncompiled(monkeypatch, compile_directly):
    """Replace the compiler, and forget what is compiled."""
    monkeypatch.setattr(kernels, "compile_directly", compile_directly)
    monkeypatch.setattr(kernels, "_warned", set())
    monkeypatch.setattr(kernel_call, "kernel", kernels.kernel.__wrapped__)
    monkeypatch.setattr(kernel_call, "_kind", kernel_call._kind.__wrapped__)
    monkeypatch.setattr(node, "apply", None)


def test_without_a_compiler_the_formula_serves_and_says_so_once(monkeypatch):
    def no_compiler(*args):
        raise RuntimeError("no working C++ compiler\nwith more lines")

    uncompiled(monkeypatch, no_compiler)
    x = torch.randn(2, 3, 4, requires_grad=True)
    kept = []
    with (
        warnings.catch_warnings(record=True) as caught,
        torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t),
    ):
        warnings.simplefilter("always")
        for formula, parameters in SMOOTH_PARAMETERS.items():
            assert_same(formula, x, [torch.tensor(p) for p in parameters])
            kept.clear()
            apply(formula, x, *parameters)
            assert kept.count(x.numel()) == 1
    messages = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
    assert len(messages) == 1
    assert "no working C++ compiler" in messages[0]
    assert "\n" not in messages[0]


def test_a_kernel_that_differs_from_its_formula_is_not_used(monkeypatch):
    def wrong_order(function, examples, threads):
        return lambda given: function(*reversed(given[1:]))

    uncompiled(monkeypatch, wrong_order)
    x = torch.randn(64)
    with pytest.warns(RuntimeWarning, match="differs from its formula"):
        y = apply(functional.lpflu, x, torch.tensor(0.3))
    torch.testing.assert_close(y, functional.lpflu.composed(x, 0.3))


@pytest.mark.slow
def test_without_the_private_names_dynamo_compiles(monkeypatch):
    def renamed(*args):
        raise AttributeError("module has no attribute 'compile_fx_inner'")

    uncompiled(monkeypatch, renamed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(functional.lpflu, torch.randn(2, 3, 5, 7), [torch.tensor(0.05)])
        assert_same(functional.prelu, torch.randn(2, 3, 5, 7), [torch.tensor([0.1, 0.2, 0.3])])


def test_modes():
    assert get_mode() == "fused"
    with pytest.raises(ValueError, match="mode must be one of fused, eager, compiled; got 'fast'"):
        set_mode("fast")
    with use_mode("compiled"):
        assert get_mode() == "compiled"
    assert get_mode() == "fused"


@pytest.mark.slow
def test_compiled_mode():
    assert_same(functional.lpflu, torch.randn(2, 3, 5, 7), [torch.tensor(0.05)], mode="compiled")


def test_infinite_and_missing_inputs():
    x = torch.tensor([float("inf"), float("-inf"), float("nan"), 3e38, -3e38, 0.0], requires_grad=True)
    y = apply(functional.lpflu, x, 0.1)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), functional.lpflu.composed(x.detach(), 0.1), equal_nan=True)
    expected = torch.tensor([1.0, 0.1, float("nan"), 1.0, 0.1, 0.55])
    torch.testing.assert_close(x.grad, expected, equal_nan=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_on_a_gpu(dtype):
    x = 3 * torch.randn(4, 6, 8, 10)
    for formula, parameters in SMOOTH_PARAMETERS.items():
        for given in (x, x.contiguous(memory_format=torch.channels_last)):
            expected = gradients(formula, given.to(dtype), [torch.tensor(p) for p in parameters], "eager")
            on_device = [torch.tensor(p, device="cuda") for p in parameters]
            x_cuda = given.to("cuda", dtype).requires_grad_()
            y = apply(formula, x_cuda, *(p.requires_grad_() for p in on_device))
            assert is_fused(y)
            assert y.stride() == given.stride()
            torch.testing.assert_close(y.cpu(), expected[0], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
