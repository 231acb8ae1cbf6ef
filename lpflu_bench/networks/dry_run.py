"""Run a network once on the meta device: every shape and every call, without a single multiplication."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from lpflu_bench.activations.nonlinearities import MAIN_FUNCTIONS, is_main_nonlinearity
from lpflu_bench.errors import UserError


def dry_run(network: nn.Module, image_size: int) -> Any:
    """Return what ``network`` makes, in evaluation mode, of one image [1, 3, image_size, image_size]; all on meta."""
    state = {name: tensor.to("meta") for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return functional_call(network, state, (torch.empty(1, 3, image_size, image_size, device="meta"),))
    finally:
        network.train(training)


class _FunctionCalls(TorchFunctionMode):
    """Collect the calls of activation functions that no activation module makes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._running: list[tuple[str, nn.Module]] = []
        self._handles = []
        for path, module in network.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter(path)))
            self._handles.append(module.register_forward_hook(self._leave))

    def _enter(self, path: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, _: self._running.append((path, module))

    def _leave(self, *_: Any) -> None:
        self._running.pop()

    def remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in MAIN_FUNCTIONS and self._running:
            path, module = self._running[-1]
            if not is_main_nonlinearity(module):
                self.found.append((path, name))
        return func(*args, **(kwargs or {}))


def functional_activations(network: nn.Module, image_size: int) -> list[tuple[str, str]]:
    """Return (module path, function) for every activation function that a ``forward`` calls itself, in call order.

    Such a call can't be replaced by swapping modules. A formula written out by hand (``x * torch.sigmoid(x)``) is not
    recognised.
    """
    calls = _FunctionCalls(network)
    try:
        with calls:
            dry_run(network, image_size)
    finally:
        calls.remove_hooks()
    return calls.found


def require_activation_modules(network: nn.Module, name: str, image_size: int) -> None:
    """Refuse a network with an activation function written out in a ``forward``.

    Args:
        network: the built network.
        name: its name, for the message.
        image_size: side of a square input that it takes.

    Raises:
        UserError: names the first of those calls.
    """
    if found := functional_activations(network, image_size):
        path, function = found[0]
        where = type(network.get_submodule(path))
        raise UserError(
            f"{name} calls {function} in the forward of {path or 'the network'} ({where.__module__}.{where.__name__}), "
            f"where no other function can be put ({len(found)} such calls): choose another network"
        )
