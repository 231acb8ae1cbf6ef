"""A network's training as CUDA graphs: one launch forward and one backward, however many kernels it has.

A small network's kernels are over before the processor has launched the next ones; a graph launches all of them at once.
"""

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from lpflu_bench.errors import UserError


def check_capturable(trainer: Trainer, device: torch.device, *, compiled: bool) -> None:
    """Check that a run's steps can be replayed.

    Raises:
        UserError: they are on a CPU, compiled, accumulated, or those of several processes.
    """
    obstacle = None
    if device.type != "cuda":
        obstacle = f"needs a GPU, and this run is on {device.type}: pass --model.cuda_graph false"
    elif compiled:
        obstacle = "and model.compile exclude each other: pass one of them"
    elif trainer.accumulate_grad_batches > 1:  # a replay writes its gradients over those of the one before
        obstacle = "can't accumulate gradients: pass --trainer.accumulate_grad_batches 1"
    elif trainer.world_size > 1:
        obstacle = "is for one process: pass --trainer.devices 1"
    if obstacle is not None:
        raise UserError(f"model.cuda_graph {obstacle}")


def capture_training(network: nn.Module, images: Tensor) -> None:
    """Record a network's forward and backward pass in training; its calls replay them from now on.

    In evaluation mode it runs as before. Parameters and buffers are left as they were; from now on they may change in place
    alone. Random numbers advance. Call it in the precision's context.

    Args:
        network: on a GPU, in training mode; takes a tensor and returns tensors.
        images: a batch of the shape, type and memory format of all that follow.
    """
    buffers = list(network.buffers())
    before = [buffer.clone() for buffer in buffers]
    autocast = torch.is_autocast_enabled("cuda")
    # The cache of cast weights would be read after the graph's memory has been used for something else.
    with torch.autocast("cuda", torch.get_autocast_dtype("cuda"), enabled=autocast, cache_enabled=False):
        torch.cuda.make_graphed_callables(network, (images.clone(),), allow_unused_input=True)
    with torch.no_grad():
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)  # the norms' statistics have seen the batch several times
