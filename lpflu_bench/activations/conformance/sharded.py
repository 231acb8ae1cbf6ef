"""Sharded parameters."""

import contextlib
import copy
import tempfile
from collections.abc import Iterator

import torch
from torch import distributed, nn

from lpflu_bench.activations.conformance.common import TOLERANCE, Build, check, sample_inputs


@check
def fsdp2(build: Build, dtype: torch.dtype) -> None:
    """``fully_shard`` over the processes there are: sharded gradients are the whole network's."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    torch.manual_seed(0)
    stored = torch.float64 if dtype is torch.float64 else torch.float32
    network = nn.Sequential(nn.Linear(6, 6), build()).to(stored).eval()
    x = sample_inputs(stored).clamp(-20, 20)
    whole = copy.deepcopy(network)
    low = torch.autocast("cpu", dtype, enabled=dtype.itemsize < 4)
    with low:
        whole(x).float().square().mean().backward()
    with _process_group():
        policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=stored)
        fully_shard(network, mesh=init_device_mesh("cpu", (distributed.get_world_size(),)), mp_policy=policy)
        network(x).float().square().mean().backward()
        # In units of the largest: a parameter's gradient is a sum of terms that may cancel.
        scale = max(1.0, *(each.grad.abs().max().item() for each in whole.parameters() if each.grad is not None))
        for sharded, parameter in zip(network.parameters(), whole.parameters(), strict=True):
            if sharded.grad is None or parameter.grad is None:
                raise AssertionError("a parameter has no gradient")
            found = sharded.grad.full_tensor()  # type: ignore[attr-defined]
            tolerance = 4 * TOLERANCE[dtype]
            torch.testing.assert_close(found, parameter.grad, rtol=tolerance, atol=tolerance * scale)


@contextlib.contextmanager
def _process_group() -> Iterator[None]:
    """The process group that is there, or one of this process alone."""
    if distributed.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            yield
        finally:
            distributed.destroy_process_group()
