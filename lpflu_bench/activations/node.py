"""The usual call of a CPU's kernels, in C++ (``node.cpp``): between convolutions Python costs more than the kernel itself.

It gives the digits of the Python code in :mod:`~lpflu_bench.activations.kernel_call`, which runs until the node is built, for
all that is unusual, and where it cannot be built. It is built once on a machine, in the background of the first process that
has kernels.
"""

import fcntl
import functools
import hashlib
import logging
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.torch_private import Compiled, c_function, compile_cache, compile_command

apply: Callable[[Formula, Any, tuple[Any, ...]], Tensor | None] | None = None
"""The values of a formula, or None where the Python code has to give them; itself None until the node is built."""

differentiate: Callable[[Formula, Tensor, list[Tensor]], Tensor | None] | None = None
"""The gradient of x by the formula of [x, *parameters]; given by the module that has it."""

_NAME = "lpflu_bench_node"  # as in node.cpp
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_LONGEST_WAIT = 120  # seconds; a compiler takes a fraction of it

SMALL = 1 << 15
"""Up to this many elements a CPU's kernel runs on one thread: starting a second one would take longer than it saves."""


class Key(NamedTuple):
    """What one kernel is for; all parameters are single numbers that do not train."""

    formula: Formula
    parameters: int
    dtype: torch.dtype
    small: bool
    threads: int


_lock = threading.Lock()
_module: Any = None
_waiting: list[tuple[Any, ...]] = []
_smallest = 0


def add(key: Key, compiled: Compiled, example: list[Any], *, backward: bool) -> None:
    """Let the node run a compiled pass, where that is one C function.

    Args:
        key: What it is for.
        compiled: The pass.
        example: A list to call it with: the number of elements, for backward the gradient, x, the parameters.
        backward: Whether it is the backward pass.
    """
    try:
        address, order = c_function(compiled, example)
    except (AttributeError, OSError, TypeError, ValueError):
        return
    start()
    with _lock:
        added = (*key, (address, order), backward)
        if _module is None:
            _waiting.append(added)
        else:
            _module.add(*added)


def set_smallest(elements: int) -> None:
    """Leave tensors of fewer elements to the Python code."""
    global _smallest
    with _lock:
        _smallest = elements
        if _module is not None:
            _module.set_smallest(elements)


@functools.cache
def start() -> threading.Thread:
    """Begin to build and load the node, once a process; ``start().join()`` waits for it."""
    thread = threading.Thread(target=_load, name="lpflu_bench node", daemon=True)
    thread.start()
    return thread


def wait() -> None:
    """Wait until the node is loaded, if the process uses it and it can be had: before measurements."""
    if start.cache_info().currsize:
        start().join(_LONGEST_WAIT)


def _load() -> None:
    global _module, apply
    try:
        module = _import(_built())
    except Exception:  # whatever stands in the compiler's way: the Python code is slower, not wrong
        _log.debug("the node in C++ was not built", exc_info=True)
        return
    with _lock:
        module.set_up(differentiate, SMALL)
        module.set_smallest(_smallest)
        while _waiting:
            module.add(*_waiting.pop(0))
        _module, apply = module, module.apply


def _built() -> Path:
    """The node as a shared library: compiled if this machine has none of this source, PyTorch, compiler and Python."""
    source = Path(__file__).with_suffix(".cpp")
    command = compile_command(source, Path(f"{_NAME}.so"))
    kind = "\n".join([source.read_text(), *command, torch.__version__, sys.version])
    folder = compile_cache() / _NAME
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{hashlib.blake2b(kind.encode(), digest_size=16).hexdigest()}.so"
    while not library.exists():
        with library.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
            else:
                if not library.exists():
                    _compile(source, library, lock.fileno())
    return library


def _compile(source: Path, library: Path, lock: int) -> None:
    unfinished = library.with_suffix(".unfinished.so")
    command = shlex.join(compile_command(source, unfinished))
    # By a shell that keeps the lock: where this process ends before, nobody starts a second compiler.
    subprocess.run(
        ["sh", "-c", f"{command} && {shlex.join(['mv', str(unfinished), str(library)])}"],
        check=True,
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _import(library: Path) -> Any:
    loader = ExtensionFileLoader(_NAME, str(library))
    module = module_from_spec(spec_from_loader(_NAME, loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module
