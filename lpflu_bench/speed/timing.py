"""Timing of several calls in rotation, so that a drift of the machine hits all alike."""

import gc
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

from lpflu_bench.activations import node
from lpflu_bench.devices import wait_for

Key = TypeVar("Key", bound=Hashable)
Clock = Callable[[Callable[[], object], torch.device], float]

_FLUSH_BYTES = 256 << 20  # more than the second-level cache of any GPU


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Summarise values, at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def rotate(
    calls: Mapping[Key, Callable[[], object]],
    device: torch.device,
    *,
    repeats: int,
    warmups: int = 2,
    each_round: Callable[[int], None] = lambda _: None,
    clock: Clock | None = None,
) -> dict[Key, list[float]]:
    """Time every call once a round; a round starts one call later than the one before.

    Args:
        calls: What to time. A call's result is freed after its time is taken.
        device: Where the calls compute.
        repeats: Rounds measured.
        warmups: Calls of each that come first and don't count: compilation, allocation.
        each_round: Called with the number of every round that is done.
        clock: :func:`by_events`, :func:`by_wall_clock` or :func:`by_processor_time`; without it the first on a GPU, the
            second elsewhere.

    Returns:
        For each call the seconds of every round, in order.
    """
    clock = clock or (by_events if device.type == "cuda" else by_wall_clock)
    keys = list(calls)
    for _ in range(warmups):
        for key in keys:
            calls[key]()
        node.wait()
    seconds: dict[Key, list[float]] = {key: [0.0] * repeats for key in keys}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(repeats):
            start = number % len(keys)
            for key in keys[start:] + keys[:start]:
                seconds[key][number] = clock(calls[key], device)
            each_round(number + 1)
    finally:
        if collecting:
            gc.enable()
    return seconds


def by_wall_clock(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call that finds the device idle and leaves it idle: on a GPU with the time in which it is launched."""
    wait_for(device)
    begin = time.perf_counter()
    result = call()
    wait_for(device)
    end = time.perf_counter()
    del result
    return end - begin


def by_processor_time(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that this thread computes, for a call on one thread of a CPU that others use too."""
    begin = time.thread_time()
    result = call()
    end = time.thread_time()
    del result
    return end - begin


def by_events(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call on a GPU, which flushes its caches before; the launch of the first kernels is hidden by that."""
    torch.empty(_FLUSH_BYTES, dtype=torch.int8, device=device).zero_()
    begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    begin.record()
    result = call()
    end.record()
    end.synchronize()
    del result
    return float(begin.elapsed_time(end)) / 1000
