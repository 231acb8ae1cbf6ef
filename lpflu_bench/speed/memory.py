"""Memory of a call by PyTorch's own account."""

import gc
from collections.abc import Callable, Iterable

import psutil
import torch
from torch import Tensor


def available_bytes(device: torch.device) -> int:
    """Memory that is still available, of the GPU or of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def bytes_kept(forward: Callable[[], object], own: Iterable[Tensor] = ()) -> int:
    """Bytes that a forward keeps for backward, by ``saved_tensors_hooks``: each storage once.

    Args:
        forward: Computes with grad mode on.
        own: Tensors that are there anyway, such as parameters; they don't count.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in own}
    storages: dict[int, int] = {}
    saved: list[Tensor] = []  # held, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _ = forward()
    return sum(storages.values())


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """The most memory that a call holds beyond what was there before it.

    On a GPU by ``torch.cuda.max_memory_allocated``; on a CPU from the allocations and releases that ``torch.profiler``
    records, in their order.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    assert profile.profiler is not None
    assert profile.profiler.kineto_results is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
