"""One run of a network that leaves no trace in it."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lpflu_bench.activations.swap.inputs import Inputs


def run_without_trace(network: nn.Module, inputs: Inputs, *, training: bool = False, meta: bool = True) -> Any:
    """Return what ``network`` makes of ``inputs``; its parameters, buffers, modes and torch's generators stay as they are.

    Args:
        network: any network, also one on the meta device.
        inputs: what it takes.
        training: the mode to run it in.
        meta: run on the meta device, where nothing is computed; else on the CPU.
    """
    return run_network(network, inputs, copied_state(network, meta), training=training, meta=meta)


def copied_state(network: nn.Module, meta: bool) -> dict[str, Tensor]:
    """Return the parameters and buffers of ``network`` on the meta device, or copies on the CPU."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    if meta:
        return {name: tensor.detach().to("meta") for name, tensor in tensors}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
        if tensor.is_meta
        else tensor.detach().to("cpu", copy=True)
        for name, tensor in tensors
    }


def run_network(
    network: nn.Module,
    inputs: Inputs,
    state: dict[str, Tensor],
    *,
    training: bool,
    meta: bool,
    modes: Sequence[Any] = (),
) -> Any:
    """Run ``network`` once with the tensors of ``state``, inside the torch modes ``modes``."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_untouched(network, training))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.device("meta" if meta else "cpu"))
        torch.manual_seed(0)
        for mode in modes:
            stack.enter_context(mode)
        return functional_call(network, state, inputs.args, inputs.kwargs)


_HOOKS = ("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")


@contextmanager
def _untouched(network: nn.Module, training: bool) -> Iterator[None]:
    """Set the mode for a while, and put back all that modules keep of a run: modes, caches, hooks that they install.

    Modules with children get the mode; layers are in evaluation (no dropout, any batch will do) in either.
    """
    before = [
        (module, {key: _shallow(key, value) for key, value in vars(module).items()}) for module in network.modules()
    ]
    for module, _ in before:
        module.training = training and bool(module._modules)
    try:
        yield
    finally:
        for module, attributes in before:
            for key in set(vars(module)) - set(attributes):
                del vars(module)[key]
            for key, value in attributes.items():
                if key in _HOOKS:  # a hook's handle refers to the dictionary itself
                    vars(module)[key].clear()
                    vars(module)[key].update(value)
                elif not key.startswith("_"):  # torch's other registries are put back by functional_call
                    vars(module)[key] = value


def _shallow(key: str, value: Any) -> Any:
    return copy.copy(value) if key in _HOOKS or type(value) in (dict, list, set) else value
