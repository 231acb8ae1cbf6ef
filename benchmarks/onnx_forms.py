"""Which form of a function ONNX Runtime runs faster: ONNX's own operator for it, or the operations of its short formula.

    uv run python benchmarks/onnx_forms.py [--batch-size 32] [--rounds 30]

Each function that ONNX has an operator for is exported in evaluation in both forms and run on float32 [batch, 64, 16, 16] on
one thread of the CPU. All take turns; the table has the medians of that thread's time, as ratios to ReLU's operator. The last
column is what `lpflu-bench deploy` and torch.onnx.export get; it should be the faster one (`native_in_exports` of
lpflu_bench.activations.pointwise).
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from rates import in_turns
from rich.console import Console
from torch import nn

from lpflu_bench import functional
from lpflu_bench.activations import create_activation
from lpflu_bench.activations.formula import Formula
from lpflu_bench.evaluation.onnx_export import export_onnx, export_program
from lpflu_bench.terminal import text_table

NATIVE = {"mish": torch.nn.functional.mish}


class _Form(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x):
        return self.run(x)


def forms():
    """Yield the name of each function with an operator of its own, and its forms as functions of x."""
    for name, formula in vars(functional).items():
        if isinstance(formula, Formula) and (native := NATIVE.get(name) or formula.native):
            values = tuple(formula.defaults.values())
            yield (
                name,
                {
                    "operator": lambda x, f=native, v=values: f(x, *v),
                    "composed": lambda x, f=formula, v=values: f.composed(x, *v, short=True),
                    "exported": create_activation(name).eval(),
                },
            )


def session_of(run, folder, name):
    """Return a session of ONNX Runtime on one thread, and its graph's operators before optimization."""
    path = Path(folder, f"{name}.onnx")
    export_onnx(export_program(_Form(run).eval(), torch.randn(2, 64, 16, 16)), ["y"], path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    operators = [node.op_type for node in onnx.load(path).graph.node if node.op_type != "Constant"]
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]), operators


def main():
    """Export, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    x = torch.randn(args.batch_size, 64, 16, 16, generator=torch.Generator().manual_seed(0)).numpy()
    ways, operators, outputs = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, runs in forms():
            for form, run in runs.items():
                session, operators[name, form] = session_of(run, folder, f"{name}_{form}")
                if form == "exported":
                    continue
                given = {session.get_inputs()[0].name: x}

                def seconds(session=session, given=given):
                    start = time.thread_time()
                    session.run(None, given)
                    return time.thread_time() - start

                (outputs[name, form],) = session.run(None, given)
                ways[name, form] = seconds
    measured = {key: float(np.median(values)) for key, values in in_turns(ways, args.rounds).items()}
    lines = []
    for name in dict.fromkeys(name for name, _ in ways):
        ratios = [measured[name, form] / measured["relu", "operator"] for form in ("operator", "composed")]
        error = np.abs(outputs[name, "composed"] - outputs[name, "operator"]).max()
        counted = Counter(operators[name, "composed"])
        composed = " ".join(f"{kind} x {count}" if count > 1 else kind for kind, count in counted.items())
        chosen = "operator" if operators[name, "exported"] == operators[name, "operator"] else "composed"
        lines.append((name, *(f"{ratio:.2f}" for ratio in ratios), f"{error:.1g}", composed, chosen))
    head = ("function", "operator", "composed", "difference", "composed of", "exported")
    Console(highlight=False).print(text_table("Run time over ReLU's, one thread", head, lines, texts=1))


if __name__ == "__main__":
    main()
