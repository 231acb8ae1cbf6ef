"""What is asked of a function outside training, in order; run in a process of its own (:mod:`.isolated`).

``python -m lpflu_bench.judging.examination`` reads a request as JSON from its input and writes one line of JSON for each
beginning and result.
"""

import functools
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch

from lpflu_bench.activations.conformance import CHECKS
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.environment import load_per_core
from lpflu_bench.errors import UserError, one_line
from lpflu_bench.judging import soundness
from lpflu_bench.judging.findings import COMPILED_NETWORK, FATAL_STEPS, Finding, Outcome

Result = dict[str, Any]
Step = tuple[str, Callable[[], Iterator[Result]]]
"""A step's name and what runs it: it yields what an :class:`~.isolated.Examination` is made of, each under its name."""

FRAMEWORKS = ("autocast", "empty", "vmap", "fx", "torchscript", "export", "compile")
"""The checks of :mod:`lpflu_bench.activations.conformance` that a function is put to, the quick ones first."""


def steps(spec: str, functions: dict[str, str]) -> list[Step]:
    """Return the steps.

    Args:
        spec: of the function that is judged.
        functions: what each function whose cost is measured is called -> what builds it.
    """

    def findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Result]:
        for finding in check():
            yield {"finding": finding.as_dict()}

    def check(name: str, function: Callable[..., Iterator[Finding]], *arguments: Any) -> Step:
        return name, functools.partial(findings, functools.partial(_guarded, name, spec, function, *arguments))

    order: list[Step] = [
        ("load", lambda: _load(spec)),
        check("shape", soundness.check_shapes),
        check("repeatable", soundness.check_repeats),
        *(check(str(dtype).removeprefix("torch."), soundness.check_values, dtype) for dtype in soundness.DTYPES),
        check("gradcheck", soundness.check_gradients),
        check("curve", soundness.check_curve),
        ("picture", lambda: _picture(spec)),
        check("memory", soundness.check_memory),
        *((name, functools.partial(findings, functools.partial(_framework, name, spec))) for name in FRAMEWORKS),
        ("cost alone", lambda: _cost_alone(functions)),
        ("cost in a network", lambda: _cost_in_network(functions, "fused")),
        (COMPILED_NETWORK, lambda: _cost_in_network(functions, "compiled")),
    ]
    return order


def _load(spec: str) -> Iterator[Result]:
    soundness.load(spec)
    return iter(())


def _cost_alone(functions: dict[str, str]) -> Iterator[Result]:
    from lpflu_bench.judging.cost import measure_alone  # imports networks, which takes seconds

    yield {"alone": measure_alone(functions), "loads": [load_per_core()]}


def _cost_in_network(functions: dict[str, str], mode: str) -> Iterator[Result]:
    from lpflu_bench.judging.cost import measure_in_network

    yield {"network": measure_in_network(functions, mode), "loads": [load_per_core()]}


def _picture(spec: str) -> Iterator[Result]:
    yield {"curve": [[round(float(value), 6) for value in part] for part in soundness.curve(spec)]}


def _guarded(name: str, spec: str, check: Callable[..., Iterator[Finding]], *arguments: Any) -> Iterator[Finding]:
    """Run a check; what the function raises is a finding."""
    try:
        yield from check(spec, *arguments)
    except Exception as error:
        text = f"raises {type(error).__name__}: {one_line(error, 160)}{_place(error)}"
        line = soundness.reproduce(spec, _call(arguments))
        yield Finding(name, Outcome.FAILED, text, line, fatal=name in FATAL_STEPS)


def _call(arguments: tuple[Any, ...]) -> str:
    dtype = arguments[0] if arguments else torch.float32
    return f"x = torch.randn(1, 3, 4, 4).to({dtype}).requires_grad_(); f.to({dtype})(x).sum().backward()"


def _place(error: Exception) -> str:
    """Return in which line of the user's file an error was raised."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}site-packages{os.sep}" not in frame.filename
        and f"{os.sep}lpflu_bench{os.sep}" not in frame.filename
    ]
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""  # noqa: PTH119


def _framework(name: str, spec: str) -> Iterator[Finding]:
    check = CHECKS[name]
    try:
        check(functools.partial(create_activation, spec), torch.float32)
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        line = "from lpflu_bench.activations.conformance import CHECKS; "
        line += f"CHECKS[{name!r}](lambda: create_activation({spec!r}))"
        text = f"{kind}{one_line(error, 160)}{_place(error)}"
        yield Finding(name, Outcome.FAILED, text, soundness.reproduce(spec, line))
    else:
        yield Finding(name, Outcome.PASSED, one_line(str(check.__doc__)).replace("``", ""))


def _end_with_parent() -> None:
    """End when whoever asked is gone: a function that hangs must not outlive it."""
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Answer one request: ``spec``, ``functions``, the steps that are already ``done``, and the ``last`` one wanted."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the function prints must not pass for an answer
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(**fields: Any) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    torch.manual_seed(0)
    for name, run in steps(request["spec"], request["functions"]):
        if name in request["done"] and name != "load":
            continue
        say(step=name)
        try:
            for result in run():
                say(**result)
        except UserError as error:
            say(refused=str(error))
            return
        except Exception as error:
            say(lost=f"{type(error).__name__}: {one_line(error, 160)}{_place(error)}")
        if name == request["last"]:
            break
    say(step="")


if __name__ == "__main__":
    main()
