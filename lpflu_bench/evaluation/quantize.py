"""INT8 by ONNX Runtime's static post-training quantisation, and what it does to the activation layers."""

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lpflu_bench.evaluation.onnx_export import INPUT_NAME, nodes_of_layers, outputs_of_layers
from lpflu_bench.evaluation.onnx_runtime import make_session
from lpflu_bench.files import replaced_atomically


def quantize(path: Path, target: Path, batches: Sequence[Tensor], activation_paths: Sequence[str]) -> None:
    """Write an INT8 version of an exported network.

    Weights are 8-bit by channel, what flows between layers 8-bit with the range seen on the calibration images (minimum
    and maximum); both are signed, ONNX Runtime's first recommendation. An activation function reads and writes 8-bit
    values and computes in float32 in between, as a lookup table would: quantising each of a formula's steps would
    measure the exporter's choice of steps.

    Args:
        path: the ONNX file of the network.
        target: the file to write.
        batches: calibration inputs, float [B, 3, H, W] each.
        activation_paths: the layers that hold the function.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[Tensor] = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.left, None)
            return None if batch is None else {INPUT_NAME: batch.numpy()}

    model = onnx.load(path)
    formulas = [nodes for nodes in nodes_of_layers(model, activation_paths).values() if len(nodes) > 1]
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends another preprocessing on the root logger
    try:
        with replaced_atomically(target) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_static(
                model,
                temporary,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QInt8,
                nodes_to_exclude=[node.name for nodes in formulas for node in nodes],
            )
    finally:
        root.setLevel(level)


def signal_to_noise(path: Path, quantized: Path, inputs: Tensor, activation_paths: Sequence[str]) -> dict[str, float]:
    """Return for each activation layer the signal-to-noise ratio of its output in the INT8 network, in dB.

    ``10 log10(sum(x^2) / sum((x - y)^2))`` with x of the float network and y of the INT8 network for the same images; the
    noise of all earlier layers is in it.
    """
    import onnx

    exact, rounded = onnx.load(path), onnx.load(quantized)
    names = outputs_of_layers(exact, activation_paths)
    known = {name for node in rounded.graph.node for name in node.output}
    # What the next layer reads is the 8-bit value, where there is one.
    read = {name: stored if (stored := f"{name}_DequantizeLinear_Output") in known else name for name in names.values()}
    a = _tensors(exact, [*read], inputs)
    b = _tensors(rounded, [*read.values()], inputs)
    return {layer: ratio_in_decibels(a[name], b[read[name]]) for layer, name in names.items()}


def ratio_in_decibels(signal: np.ndarray, noisy: np.ndarray) -> float:
    """Return the signal-to-noise ratio of ``noisy``; infinite if it is the signal."""
    x, y = signal.astype(np.float64), noisy.astype(np.float64)
    noise = np.square(x - y).sum()
    return math.inf if noise == 0 else 10 * math.log10(max(np.square(x).sum(), np.finfo(float).tiny) / noise)


def _tensors(model: Any, names: Sequence[str], inputs: Tensor) -> Mapping[str, np.ndarray]:
    """Run a model with further outputs."""
    import onnx

    asked = list(dict.fromkeys(names))
    existing = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in asked if name not in existing)
    values = make_session(model.SerializeToString()).run(asked, {INPUT_NAME: inputs.numpy()})
    return dict(zip(asked, values, strict=True))
