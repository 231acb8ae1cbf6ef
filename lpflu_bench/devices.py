"""Copies to a device, and waiting for it."""

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """Return a small tensor of the CPU on a device. A GPU is not waited for, as it is where memory is not pinned."""
    if device.type == "cuda" and values.is_cpu:
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def wait_for(device: torch.device) -> None:
    """Return once a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
