"""Is a function sound? Its values and gradients over the floats, its curve, and what a training would ask of it."""

import gc
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from lpflu_bench.activations.registry import create_activation
from lpflu_bench.errors import UserError, one_line
from lpflu_bench.judging.findings import Finding, Outcome
from lpflu_bench.judging.floats import floats_of
from lpflu_bench.user_code import import_object, is_import_path

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
REACH = 1e4
"""Inputs up to this size occur in networks: what goes wrong beyond it is noted, not failed."""
_TRAINED = 10.0  # a NaN this near to 0 ends any training
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
_SHAPES = ((2, 3, 4, 5), (2, 3), (7,), (0, 3, 4, 4))
_CALLS, _ELEMENTS = 20, 1 << 16


def load(spec: str) -> nn.Module:
    """Build the function once.

    Raises:
        UserError: it cannot be imported or built, or is no activation; says where it is defined.
    """
    try:
        return create_activation(spec)
    except (TypeError, ValueError) as error:
        place = source_place(import_object(spec)) if is_import_path(spec) else ""
        raise UserError(
            f"{place or spec}: {one_line(error)}; name a class without arguments, or a function of a tensor"
        ) from error


def source_place(defined: Any) -> str:
    """Return file and line of a definition, ``my_functions.py, line 7``; nothing where there is no source."""
    try:
        return f"{Path(inspect.getfile(defined)).name}, line {inspect.getsourcelines(defined)[1]}"
    except (TypeError, OSError):
        return ""


def where_defined(module: nn.Module) -> str:
    """Return where the function that a module applies is defined."""
    return source_place(getattr(module, "function", None) or type(module)) or type(module).__name__


def reproduce(spec: str, call: str) -> str:
    """Return a line of Python that calls the function as ``f`` and prints what is wrong."""
    return f"import torch; from lpflu_bench import create_activation; f = create_activation({spec!r}); {call}"


def _point(dtype: torch.dtype, x: float) -> str:
    return f"torch.tensor([{x!r}], dtype={dtype})"


def check_shapes(spec: str) -> Iterator[Finding]:
    """The result has the input's shape and dtype, and the input is left as it was."""
    for shape in _SHAPES:
        module = load(spec)
        given = torch.linspace(-3, 3, max(torch.Size(shape).numel(), 1))[: torch.Size(shape).numel()].view(shape)
        x = given.clone()
        call = f"torch.zeros({', '.join(map(str, shape))})"
        y = module(x)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            found = f"shape {list(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
            text = f"returns {found} for an input of shape {list(shape)} ({where_defined(module)})"
            yield Finding("shape", Outcome.FAILED, text, reproduce(spec, f"print(f({call}))"), fatal=True)
            return
        if y.dtype != x.dtype:
            text = f"returns {y.dtype} for an input of {x.dtype} ({where_defined(module)})"
            yield Finding("shape", Outcome.FAILED, text, reproduce(spec, f"print(f({call}).dtype)"), fatal=True)
            return
        if not torch.equal(x, given):
            text = f"writes over its input ({where_defined(module)}): the gradient of the layer before would be wrong"
            line = reproduce(spec, f"x = -torch.ones({', '.join(map(str, shape))}); f(x); print(x)")
            yield Finding("shape", Outcome.FAILED, text, line, fatal=True)
            return
    yield Finding("shape", Outcome.PASSED, "the input's shape and dtype, for four shapes, one of them empty")


def check_repeats(spec: str) -> Iterator[Finding]:
    """The same input gives the same output; an element's result depends on that element alone."""
    module, x = load(spec).eval(), torch.linspace(-4, 4, 240).view(2, 3, 8, 5)
    first = module(x)
    if not torch.equal(first, module(x)):
        line = reproduce(spec, "f.eval(); x = torch.linspace(-4, 4, 9); print(f(x) - f(x))")
        yield Finding("repeatable", Outcome.FAILED, "evaluated twice on one input, it gives two results", line)
        return
    random = not torch.equal((training := load(spec).train())(x), training(x))
    text = "the same input gives the same result" + (" in evaluation; in training it is random" if random else "")
    yield Finding("repeatable", Outcome.NOTED if random else Outcome.PASSED, text)
    part = (slice(1, None), slice(None), slice(3, 6), slice(1, 4))  # not of the channels: they may have parameters
    if torch.allclose(first[part], module(x[part]), rtol=1e-5, atol=1e-6):
        yield Finding("elementwise", Outcome.PASSED, "an element's result does not depend on its neighbours")
    else:
        yield Finding("elementwise", Outcome.NOTED, "an element's result depends on other elements of the tensor")


def _evaluated(spec: str, dtype: torch.dtype, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and gradients at x, computed in ``dtype``, as float64 [N]."""
    module = load(spec).to(dtype).eval()
    given = x.to(dtype).view(1, 1, 1, -1).requires_grad_()
    y = module(given)
    (gradient,) = torch.autograd.grad(y, given, torch.ones_like(y))
    return y.detach().double().flatten(), gradient.double().flatten()


def check_values(spec: str, dtype: torch.dtype) -> Iterator[Finding]:
    """Values and gradients over the floats of a type: finite where they should be, and near those of float64."""
    name = str(dtype).removeprefix("torch.")
    x = floats_of(dtype).double()
    found = _evaluated(spec, dtype, x)
    expected = _evaluated(spec, torch.float64, x)
    ok = True
    for what, ours, wanted in zip(("value", "gradient"), found, expected, strict=True):
        representable = wanted.abs() <= torch.finfo(dtype).max
        bad = torch.isnan(ours) | (torch.isinf(ours) & representable)
        if dtype != torch.float64:
            scale = torch.maximum(wanted.abs(), 0.05 * x.abs() if what == "value" else torch.full_like(x, 0.1))
            scale = scale.clamp_min(torch.finfo(dtype).smallest_normal / _TOLERANCE[dtype])
            far = (ours - wanted).abs() > _TOLERANCE[dtype] * scale
            bad |= far & representable & (x.abs() <= REACH)
        if not bad.any():
            continue
        point = _nearest_to_zero(x, bad)
        at, value, true = float(x[point]), float(ours[point]), float(wanted[point])
        failed = abs(at) <= REACH
        ok &= not failed
        text = f"the {what} at x = {at:.9g} is {value:.6g}"
        text += f" (in float64 {true:.6g})" if dtype != torch.float64 and true == true else ""
        text += (
            f"; {int(bad.sum()):,} of {len(x):,} inputs fail, this one is nearest to 0"
            if failed
            else "; nothing of the kind is nearer to 0"
        )
        call = f"x = {_point(dtype, at)}.requires_grad_(); y = f.to({dtype})(x); y.sum().backward(); print(y, x.grad)"
        fatal = dtype == torch.float32 and abs(at) <= _TRAINED
        outcome = Outcome.FAILED if failed else Outcome.NOTED
        yield Finding(f"{what} in {name}", outcome, text, reproduce(spec, call), fatal)
    if ok:
        text = f"value and gradient over {'all ' if dtype.itemsize == 2 else ''}{len(x):,} floats of the type"
        yield Finding(name, Outcome.PASSED, text)


def _nearest_to_zero(x: Tensor, which: Tensor) -> int:
    distance = torch.where(which, x.abs(), torch.inf)
    return int(distance.argmin())


def check_gradients(spec: str) -> Iterator[Finding]:
    """The gradient is the derivative, for the input and for parameters (``torch.autograd.gradcheck``)."""
    module = load(spec).double().eval()
    x = (2 * torch.randn(2, 1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).requires_grad_()
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    values = [module.get_parameter(name).detach().clone().requires_grad_() for name in names]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))
        return result

    try:
        torch.autograd.gradcheck(call, (x, *values))
    except RuntimeError as error:
        line = "x = (2 * torch.randn(30, dtype=torch.float64)).requires_grad_(); "
        line += "torch.autograd.gradcheck(f.double().eval(), (x,))"
        yield Finding("gradcheck", Outcome.FAILED, one_line(error, 160), reproduce(spec, line))
        return
    of = f" and to {len(names)} parameters" if names else ""
    yield Finding("gradcheck", Outcome.PASSED, f"the derivative with respect to x{of} is right to 1e-5")


def curve(spec: str, reach: float = 4.0, points: int = 401) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, f(x) and f'(x), float64 [points], over [-reach, reach]."""
    half = points // 2
    x = torch.arange(-half, half + 1, dtype=torch.float64) * (reach / half)  # 0 exactly in the middle
    return (x, *_evaluated(spec, torch.float64, x))


def check_curve(spec: str) -> Iterator[Finding]:
    """Monotone, Lipschitz, saturated, dead: read off a fine grid in float64."""
    x, y, slope = curve(spec, 20.0, 80_001)
    falls = y[1:] < y[:-1] - 1e-12
    if falls.any():
        where = x[1:][falls]
        lowest = int(y.argmin())
        text = f"no: falls within [{float(where[0]):.3g}, {float(where[-1]):.3g}], minimum {float(y[lowest]):.4g}"
        yield Finding("monotone", Outcome.NOTED, f"{text} at x = {float(x[lowest]):.4g}")
    else:
        yield Finding("monotone", Outcome.NOTED, "yes")
    steepest = int(slope.abs().argmax())
    _, _, far = curve(spec, REACH, 4001)
    if float(far.abs().max()) > 1.5 * float(slope.abs().max()):
        text = f"none: the slope grows to {float(far.abs().max()):.4g} within {REACH:g}"
    else:
        text = f"{float(slope.abs().max()):.4g}, the steepest slope, at x = {float(x[steepest]):.4g}"
    yield Finding("Lipschitz bound", Outcome.NOTED, text)
    sides = [("left", -20.0, y[0], slope[0]), ("right", 20.0, y[-1], slope[-1])]
    flat = [f"{side} at {float(value):.3g}" for side, _, value, steep in sides if abs(float(steep)) < 1e-4]
    yield Finding("saturation", Outcome.NOTED, "; ".join(flat) if flat else "on neither side")
    dead = (slope == 0) & (x != 0)
    longest = _longest(dead)
    if longest is None or longest[1] - longest[0] < 100:
        yield Finding("dead zone", Outcome.NOTED, "none: the gradient is nowhere 0 over an interval")
    else:
        low, high = (float(x[index]) for index in longest)
        ends = (
            f"[{'-inf' if longest[0] == 0 else f'{low:.3g}'}, {'inf' if longest[1] == len(x) - 1 else f'{high:.3g}'}]"
        )
        yield Finding("dead zone", Outcome.NOTED, f"the gradient is exactly 0 in {ends}")


def _longest(flags: Tensor) -> tuple[int, int] | None:
    """Return first and last index of the longest run of true flags."""
    edges = torch.diff(torch.cat([torch.tensor([0]), flags.int(), torch.tensor([0])]))
    starts, ends = torch.nonzero(edges == 1).flatten(), torch.nonzero(edges == -1).flatten()
    if not len(starts):
        return None
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest]) - 1


def check_memory(spec: str) -> Iterator[Finding]:
    """Repeated steps leave nothing behind."""
    module, x = load(spec).train(), torch.linspace(-3, 3, _ELEMENTS).view(1, 1, 256, -1).requires_grad_()
    process, size = psutil.Process(), x.numel() * x.element_size()

    def held() -> tuple[int, int]:
        for _ in range(_CALLS):
            module(x).sum().backward()
            module.zero_grad()
            x.grad = None
        gc.collect()
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _tensors()}
        return sum(storages.values()), process.memory_info().rss

    before = held()
    middle, after = held(), held()
    tensors = min(middle[0] - before[0], after[0] - middle[0]) / _CALLS
    resident = min(middle[1] - before[1], after[1] - middle[1]) / _CALLS
    leaked = max(tensors, resident)
    if leaked > size / 2:
        text = f"every step keeps {leaked / size:.1f} times the input's size, for good ({where_defined(module)})"
        line = "import psutil; x = torch.randn(1 << 16, requires_grad=True); "
        line += "print([([f(x).sum().backward() for _ in range(20)], psutil.Process().memory_info().rss)[1] for _ in range(9)])"
        yield Finding("memory", Outcome.FAILED, text, reproduce(spec, line), fatal=True)
    else:
        yield Finding("memory", Outcome.PASSED, f"{3 * _CALLS} training steps leave nothing behind")


def _tensors() -> Iterator[Tensor]:
    for candidate in gc.get_objects():
        if type(candidate) in (Tensor, nn.Parameter) and candidate.device.type == "cpu":
            yield candidate
