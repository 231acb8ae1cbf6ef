"""Put an activation function into a built network, and report where it went."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lpflu_bench.activations.leaky import Leaky
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.activations.swap.inputs import SAY_INPUTS, Inputs
from lpflu_bench.activations.swap.placement import Block
from lpflu_bench.activations.swap.places import Places, run_on_random_numbers, separate
from lpflu_bench.activations.swap.plan import Place
from lpflu_bench.activations.swap.report import Placement, PlacementReport, Remaining
from lpflu_bench.activations.swap.trace import UntraceableError
from lpflu_bench.errors import UserError

EmaScope = Literal["residual", "all", "none"]
ActivationSpec = str | Mapping[str, Any] | Callable[..., Any]


def replace_activations(
    network: nn.Module,
    activation: ActivationSpec,
    *,
    inputs: Any = None,
    ema_scope: EmaScope = "residual",
    squeeze_excitation: bool = True,
    strict: bool = True,
) -> PlacementReport:
    """Replace, in place, every main nonlinearity of ``network`` by a new instance of ``activation``.

    The network is run on made-up inputs (on the meta device, where nothing is computed, if it can be; its weights, buffers
    and the random state stay as they are), in training and in evaluation mode, to see every call of a nonlinearity and the
    data flow around it. Each call place gets an instance of its own: a module is replaced; for a call of a function, or a
    second call of one module, the class of the module that makes it is subclassed
    (:mod:`lpflu_bench.activations.swap.rewrite`). A block that is itself called several times, weights and all (a
    detector's head), has one instance for all its runs.

    Gates (what multiplies other data) and outputs (no layer with weights behind them) stay. A leaky function whose slope
    has the form "ema" keeps it inside residual, dense and shuffle blocks and gets a fixed slope (its setting ``value``)
    elsewhere, as in the paper; :mod:`lpflu_bench.activations.swap.placement` says how they are found.

    Weights may be loaded before or after: a state without the entries of an instance (a checkpoint of the original
    network) leaves that instance at its start, with a warning. New parameters are on the network's device.

    Args:
        network: the built network, with its own activations.
        activation: what :func:`create_activation` takes: a name, a class path, class_path and init_args, a class.
        inputs: what ``network`` takes, for networks whose first layer doesn't say it: a tensor, a tuple of arguments, or a
            dict of keyword arguments. Values don't matter.
        ema_scope: where slopes of the form "ema" stay so: in ``residual`` (dense, shuffle) blocks, in ``all`` places, or
            in ``none``.
        squeeze_excitation: whether the nonlinearity inside squeeze-and-excitation is replaced too; its gate never is.
        strict: refuse a network in which something is left, or that can't be traced, and leave it unchanged. Otherwise
            the report says what is left.

    Raises:
        UserError: there is nothing to replace; or, with ``strict``, something is left.

    >>> from torchvision.models import resnet18
    >>> from lpflu_bench import replace_activations
    >>> replace_activations(resnet18(), "lpflu").counts()
    {'replaced': 17, 'kept': 0, 'left': 0, 'slopes': {'ema': 16, 'fixed': 1}}
    """
    if ema_scope not in get_args(EmaScope):
        raise ValueError(f"ema_scope must be one of {', '.join(get_args(EmaScope))}, not {ema_scope!r}")
    create_activation(activation)  # what is wrong with it is reported before anything is changed
    name = type(network).__name__
    try:
        with separate(network, _as_inputs(inputs)) as found:
            _refuse(name, found, strict)
    except UntraceableError as error:
        raise UserError(f"{name}: {error}") from error
    report = PlacementReport([], [], untraced=found.untraced, on_values=found.on_values, ema_scope=ema_scope)
    like = next(iter([*network.parameters(), *network.buffers()]), None)
    for place in found.places:
        if place.original is None:
            (report.kept if place.stays else report.left).append(Remaining(place.path, place.old, place.why))
            continue
        if place.role == "squeeze-and-excitation" and not squeeze_excitation:
            report.kept.append(Remaining(place.path, place.old, place.role))
            continue
        new = _create(activation, place.block, ema_scope)
        _install(network, place, new, like)
        slope = new.slope_mode if isinstance(new, Leaky) else None
        in_squeeze_excitation = place.role == "squeeze-and-excitation"
        report.placements.append(
            Placement(place.path, place.old, type(new).__name__, slope, place.block, in_squeeze_excitation)
        )
        report.originals[place.path] = place.original
    return report


def verify_swap(network: nn.Module, inputs: Any = None) -> int:
    """Prove that the places of ``network`` can be told apart: give each its own module with the original function.

    The network is run on random numbers before and after, in training and in evaluation mode where it can be. Outputs must be
    bitwise equal, and each module called once for each run of the module that calls it. Use it on an original network, also
    on one with trained weights; it is left with one module for each place.

    Args:
        network: as for :func:`replace_activations`.
        inputs: as for :func:`replace_activations`; the values count here.

    Returns:
        The number of places.

    Raises:
        UserError: outputs differ, places can't be told apart, or the network can't be traced.

    >>> from lpflu_bench import verify_swap
    >>> verify_swap(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 3)))
    2
    """
    name = type(network).__name__
    try:
        before = run_on_random_numbers(network, _as_inputs(inputs))
        with separate(network, _as_inputs(inputs)) as found:
            _refuse(name, found, strict=True)
        after = run_on_random_numbers(network, _as_inputs(inputs))
    except UntraceableError as error:
        raise UserError(f"{name}: {error}") from error
    if len(before) != len(after) or not all(map(torch.equal, before, after)):
        raise UserError(f"{name}: with the original functions put in at every place, its outputs differ")
    return sum(place.original is not None for place in found.places)


def _as_inputs(inputs: Any) -> Inputs | None:
    if inputs is None or isinstance(inputs, Inputs):
        return inputs
    if isinstance(inputs, Mapping):
        return Inputs((), dict(inputs))
    return Inputs(inputs if isinstance(inputs, tuple) else (inputs,))


def _refuse(name: str, found: Places, strict: bool) -> None:
    """Raise if a strict swap must not proceed, or there is nothing to replace."""
    if strict and found.untraced:
        raise UserError(
            f"{name} can't be traced ({found.untraced}), so calls of functions can't be seen: {SAY_INPUTS}, or "
            "strict=False to replace its modules alone"
        )
    left = [f"{place.path or 'the network'} ({place.old}): {place.why}" for place in found.places if place.left]
    if strict and left:
        raise UserError(
            f"{name}: {len(left)} nonlinearities would be left: {'; '.join(left[:5])}{'; ...' if len(left) > 5 else ''}; "
            "strict=False leaves them and says so in the report"
        )
    if not any(place.original is not None for place in found.places):
        raise UserError(f"{name} has no activation function to replace")


def _create(activation: ActivationSpec, block: Block, ema_scope: EmaScope) -> nn.Module:
    new = create_activation(activation)
    if isinstance(new, Leaky) and new.slope_mode == "ema":
        keeps_ema = ema_scope == "all" or (ema_scope == "residual" and block != "feed-forward")
        if not keeps_ema:
            new = create_activation(activation, slope="fixed")
    return new


def _install(network: nn.Module, place: Place, new: nn.Module, like: Tensor | None) -> None:
    parent, _, name = place.path.rpartition(".")
    owner = network.get_submodule(parent)
    if like is not None:
        new.to(like.device, like.dtype if like.is_floating_point() else None)
    new.train(network.get_submodule(place.path).training)
    if place.overwritten:
        new.register_forward_hook(_copy_output)
    if place.overwrites:
        new.register_forward_pre_hook(_copy_input)
    new.register_load_state_dict_pre_hook(_start_where_absent)  # type: ignore[no-untyped-call]
    owner.register_module(name, new)


def _copy_output(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
    """What follows works in place, and a function may keep its output for the backward pass."""
    return output.clone()


def _copy_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What follows overwrites the input, which a function may keep for the backward pass."""
    return (args[0].clone(), *args[1:])


def _start_where_absent(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Leave an activation as it is when it is loaded from a state that knows nothing of it."""
    own = {f"{prefix}{key}": value for key, value in module.state_dict().items()}
    if own and not any(key in state for key in own):
        warnings.warn(
            "the loaded weights are of a network with another activation function: the function's own parameters and slopes "
            "stay at their initial values",
            stacklevel=2,
        )
        state.update(own)
