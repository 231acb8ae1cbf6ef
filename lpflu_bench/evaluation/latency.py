"""How long a deployed network takes for one batch, compared with the same network with ReLU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lpflu_bench.speed.timing import Spread, rotate


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass.

    Attributes:
        batch_size: images in it.
        threads: CPU threads it ran on.
        seconds: median and quartiles over the rounds.
        relu_seconds: the same for the network with ReLU.
        ratio_to_relu: median and quartiles of the ratio within a round.
    """

    batch_size: int
    threads: int
    seconds: Spread
    relu_seconds: Spread
    ratio_to_relu: Spread


Runner = Callable[[Tensor], object]


def torch_runner(module: nn.Module, threads: int) -> Runner:
    """Return a network's forward pass in PyTorch on this many threads."""

    def run(inputs: Tensor) -> object:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                return module(inputs)
        finally:
            torch.set_num_threads(before)

    return run


def measure_latency(
    runners: Mapping[str, tuple[Runner, Runner]], inputs: Tensor, threads: int, *, repeats: int, warmups: int = 5
) -> dict[str, Latency]:
    """Time forward passes in rotation: each round has one of every form, with its own function and with ReLU.

    Args:
        runners: for each form (PyTorch, ONNX, INT8) its pass and that of its twin with ReLU, both on ``threads`` threads.
        inputs: the batch.
        threads: noted in the result.
        repeats: rounds.
        warmups: passes of each that come first and do not count.
    """
    calls = {
        (form, place): (lambda runner=runner: runner(inputs))
        for form, pair in runners.items()
        for place, runner in enumerate(pair)
    }
    seconds = rotate(calls, torch.device("cpu"), repeats=repeats, warmups=warmups)
    results = {}
    for form in runners:
        own, relu = seconds[form, 0], seconds[form, 1]
        ratios = [a / b for a, b in zip(own, relu, strict=True)]
        results[form] = Latency(len(inputs), threads, Spread.of(own), Spread.of(relu), Spread.of(ratios))
    return results
