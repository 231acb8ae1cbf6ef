"""What frameworks do to an activation module, as checks that any elementwise module can be put to.

``CHECKS[name](build, dtype)`` builds a module with ``build()`` and raises what went wrong, or nothing. Values and gradients are
compared with those of the module itself in eager mode; what is random in training is checked in evaluation mode.

>>> import torch
>>> from lpflu_bench.activations.conformance import CHECKS
>>> CHECKS["fx"](torch.nn.SiLU)
>>> CHECKS["vmap"](torch.nn.SiLU, torch.float64)
"""

from lpflu_bench.activations.conformance.common import DTYPES, FLOAT32_ONLY, Check
from lpflu_bench.activations.conformance.exporters import export, onnx, onnx_torchscript, quantize, torchscript
from lpflu_bench.activations.conformance.module import autocast, eager, empty, fused, meta
from lpflu_bench.activations.conformance.sharded import fsdp2
from lpflu_bench.activations.conformance.traced import compile, compile_together, fx, vmap

__all__ = ["CHECKS", "DTYPES", "FLOAT32_ONLY", "compile_together"]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(eager, fused, empty, meta, autocast),
        *(vmap, fx, torchscript, quantize, export),
        *(onnx, onnx_torchscript, fsdp2, compile),
    )
}
"""The checks by name, in the order of their cost."""
