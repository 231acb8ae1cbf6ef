"""The node in C++: the digits of the Python code it stands for, and None wherever anything is unusual."""

import os
import threading
import time

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lpflu_bench import functional
from lpflu_bench.activations import fused, node
from lpflu_bench.activations.fused import apply, use_mode
from lpflu_bench.activations.torch_private import c_function

LARGE = (1 << 16,)  # for a kernel of several threads


@pytest.fixture(autouse=True)
def loaded():
    """Kernels for small tensors too, and the node."""
    fused.set_small_kernels(True)
    functional.pflu(torch.randn(8, requires_grad=True)).sum().backward()
    node.start().join()
    assert node.apply is not None


def by_python(monkeypatch, call):
    with monkeypatch.context() as patched:
        patched.setattr(node, "apply", None)
        return call()


def values_and_gradient(formula, x, parameters):
    x = x.detach().requires_grad_()
    y = apply(formula, x, *parameters)
    y.backward(torch.linspace(-1, 1, x.numel()).view(x.shape).to(x.dtype))
    return y, x.grad


def answered(formula, x, *parameters) -> bool:
    return node.apply(formula, x, parameters) is not None


@pytest.mark.parametrize(
    ("formula", "parameters", "dtype", "shape"),
    [
        (functional.pflu, (), torch.float32, (3, 5, 7, 9)),
        (functional.smu, (0.25, 1.0), torch.float32, (3, 5, 7, 9)),
        (functional.lpflu, (0.1,), torch.float32, (3, 5, 7, 9)),
        (functional.lpflu, (0.1,), torch.float32, LARGE),
        (functional.lpflu, (0.1,), torch.bfloat16, (3, 5, 7, 9)),
        (functional.lpflu, (0.1,), torch.float16, (3, 5, 7, 9)),
    ],
)
def test_digits_are_those_of_the_python_code(monkeypatch, formula, parameters, dtype, shape):
    x = (3 * torch.randn(shape)).to(dtype)
    expected = by_python(monkeypatch, lambda: values_and_gradient(formula, x, parameters))
    for given in (parameters, tuple(torch.tensor(p) for p in parameters)):
        found = values_and_gradient(formula, x, given)
        assert "CppNode" in found[0].grad_fn.name()
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
        with torch.no_grad():
            assert torch.equal(apply(formula, x, *given), expected[0])


def test_strides_are_kept(monkeypatch):
    x = torch.randn(2, 3, 4, 5)
    for given in (
        x.to(memory_format=torch.channels_last),
        x.transpose(1, 3),
        x.permute(3, 0, 2, 1),
        torch.randn(3, 2).t(),
    ):
        given = given.detach()
        y, grad = values_and_gradient(functional.pflu, given, ())
        assert y.stride() == grad.stride() == given.stride()
        expected = by_python(monkeypatch, lambda given=given: values_and_gradient(functional.pflu, given, ()))
        assert torch.equal(y, expected[0])
        assert torch.equal(grad, expected[1])


def test_what_is_unusual_is_left_to_python():
    class Own(torch.Tensor):
        pass

    values_and_gradient(functional.lpflu, torch.randn(8), (0.1,))
    x = torch.randn(8)
    assert answered(functional.lpflu, x, 0.1)
    assert answered(functional.lpflu, torch.nn.Parameter(x), torch.nn.Parameter(torch.tensor(0.1), requires_grad=False))
    for parameter in (1, torch.tensor(0.1, requires_grad=True), torch.rand(8), torch.tensor(0.1).double(), "0.1", None):
        assert not answered(functional.lpflu, x, parameter)
    assert not answered(functional.lpflu, x)
    assert not answered(functional.lpflu, x, 0.1, 0.1)
    rows = torch.randn(8, 8)
    for other in (
        x.double(),
        x.to("meta"),
        x.as_subclass(Own),
        rows[:, ::2],
        x[:0],
        x.to_sparse(),
        [1.0],
        None,
        x.int(),
    ):
        assert not answered(functional.lpflu, other, 0.1)
    with use_mode("eager"):
        assert not answered(functional.lpflu, x, 0.1)
    with use_mode("compiled"):
        assert not answered(functional.lpflu, x, 0.1)
    fused.set_small_kernels(False)
    assert not answered(functional.lpflu, x, 0.1)
    fused.set_small_kernels(None)
    assert not answered(functional.lpflu, x, 0.1)


def test_transforms_modes_and_traces_are_left_to_python():
    seen = []

    def ask(x):
        seen.append(answered(functional.pflu, x))
        return functional.pflu(x)

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    x = torch.randn(4, 2)
    torch.vmap(ask)(x)
    torch.func.grad(lambda x: ask(x).sum())(x)
    torch.func.jvp(ask, (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        ask(torch.autograd.forward_ad.make_dual(x, x))
    with Mode():
        ask(x)
    torch.jit.trace(ask, x, check_trace=False)
    torch.fx.experimental.proxy_tensor.make_fx(ask)(x)
    assert len(seen) == 7
    assert not any(seen)


def test_a_gradient_of_a_gradient_comes_from_the_formula():
    x = torch.randn(5, requires_grad=True)
    y = functional.lpflu(x, 0.1)
    assert "CppNode" in y.grad_fn.name()
    [first] = torch.autograd.grad(y.sum(), x, create_graph=True)
    [second] = torch.autograd.grad(first.sum(), x)
    with use_mode("eager"):
        [wanted] = torch.autograd.grad(functional.lpflu(x, 0.1).sum(), x, create_graph=True)
        torch.testing.assert_close(first, wanted)
        torch.testing.assert_close(second, torch.autograd.grad(wanted.sum(), x)[0])


def test_batched_gradients():
    x = torch.randn(5, requires_grad=True)
    y = functional.pflu(x)
    [jacobian] = torch.autograd.grad(y, x, torch.eye(5), is_grads_batched=True, retain_graph=True)
    [diagonal] = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(jacobian, diagonal.diag())


def test_an_expanded_gradient_and_one_in_another_layout():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    weights = torch.randn(2, 3, 4, 5)
    [expected] = torch.autograd.grad(functional.pflu.composed(x), x, weights)
    [found] = torch.autograd.grad(functional.pflu(x), x, weights)
    torch.testing.assert_close(found, expected)
    [of_sum] = torch.autograd.grad(functional.pflu(x).sum(), x)
    torch.testing.assert_close(of_sum, torch.autograd.grad(functional.pflu.composed(x).sum(), x)[0])


def test_hooks_on_saved_tensors_run_and_may_change_the_layout():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t.contiguous()):
        y = functional.pflu(x)
        assert "CppNode" in y.grad_fn.name()
        [found] = torch.autograd.grad(y.sum(), x)
    assert kept == [x.shape]
    torch.testing.assert_close(found, torch.autograd.grad(functional.pflu.composed(x).sum(), x)[0])


def test_what_autograd_refuses_is_refused():
    x = torch.randn(5, requires_grad=True)
    y = functional.pflu(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    slope = torch.tensor(0.1)
    for changed in (x, slope):
        copied = x.detach().clone().requires_grad_()
        given = copied * 1 if changed is x else copied
        y = functional.lpflu(given, slope)
        (given if changed is x else slope).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_an_error_in_the_formula_comes_through(monkeypatch):
    x = torch.randn(5, requires_grad=True)
    y = functional.pflu(x)
    monkeypatch.setattr(functional.pflu, "plain", lambda x: x.no_such_name)
    with pytest.raises(AttributeError, match="no_such_name"):
        torch.autograd.grad(y.sum(), x, create_graph=True)


def test_passes_of_more_than_one_function_are_left_to_python():
    def call(given):
        return [first(given[0])]  # noqa: F821

    for names in ({}, {"cpp_fused_0": abs, "cpp_fused_1": abs}):
        call.__globals__.update(names)
        try:
            with pytest.raises(ValueError, match="unpack"):
                c_function(call, [torch.ones(2)])
        finally:
            for name in names:
                del call.__globals__[name]


def test_without_a_compiler_the_python_code_serves(monkeypatch, tmp_path):
    monkeypatch.setattr(node, "compile_cache", lambda: tmp_path)
    monkeypatch.setattr(node, "compile_command", lambda source, library: ["false"])
    monkeypatch.setattr(node, "apply", None)
    node._load()
    assert node.apply is None
    x = torch.randn(5, requires_grad=True)
    assert "CppNode" not in functional.pflu(x).grad_fn.name()


def test_a_second_process_waits_for_the_compiler_of_one_that_has_ended(monkeypatch, tmp_path):
    def command(source, library):
        return ["sh", "-c", f"echo >> {tmp_path}/calls; sleep 1; echo library > {library}"]

    monkeypatch.setattr(node, "compile_cache", lambda: tmp_path)
    monkeypatch.setattr(node, "compile_command", command)
    process = os.fork()
    if process == 0:
        threading.Thread(target=node._built, daemon=True).start()
        while not (tmp_path / "calls").exists():
            time.sleep(0.01)
        os._exit(0)
    os.waitpid(process, 0)
    assert node._built().read_text() == "library\n"
    assert (tmp_path / "calls").read_text() == "\n"
