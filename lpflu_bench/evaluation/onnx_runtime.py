"""An ONNX file run by ONNX Runtime on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lpflu_bench.errors import UserError
from lpflu_bench.evaluation.onnx_export import INPUT_NAME

if TYPE_CHECKING:
    import onnxruntime


def make_session(model: Path | bytes, threads: int | None = None) -> "onnxruntime.InferenceSession":
    """Return a session of a file (or of its content) on the CPU.

    Args:
        model: the file.
        threads: that one operator runs on; ONNX Runtime's choice if None.

    Raises:
        UserError: ONNX Runtime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        # A session that waits by spinning slows the one that is being measured.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors share no base class
        gist = " ".join(str(error).split())
        raise UserError(f"ONNX Runtime cannot run the exported network: {gist[:300]}") from error


class OnnxNetwork(nn.Module):
    """A session as a module from a tensor to a tensor or a tuple of them, on the CPU."""

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        super().__init__()
        self.session = session

    def forward(self, inputs: Tensor) -> Any:
        """Run the network."""
        outputs = self.session.run(None, {INPUT_NAME: inputs.contiguous().numpy()})
        tensors = tuple(torch.from_numpy(output) for output in outputs)
        return tensors if len(tensors) > 1 else tensors[0]
