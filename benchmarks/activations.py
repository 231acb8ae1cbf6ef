"""What the fast path is held to, as ratios measured in one run on this machine.

    uv run python benchmarks/activations.py [--rounds 15] [--threads 2] [--parts large small]

large: LPFLU's forward over ReLU's on 32 x 1024 x 56 x 56 (at most 1.05), and forward + backward of every smooth function
over PyTorch's SiLU on 16 x 256 x 56 x 56 (LPFLU at most 1.05, the others 1.25). small: forward + backward on 128 x 64 x 8 x 8,
a call's fixed costs included (at most 2). Calls take turns; a ratio is the median of the rounds' ratios.
"""

import argparse
import statistics

import torch

from lpflu_bench.activations import create_activation
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.environment import cpu_model
from lpflu_bench.speed.pointwise import PAPER_SHAPE
from lpflu_bench.speed.timing import rotate

SMOOTH = [name for name, entry in ENTRIES.items() if entry.smooth_relu and name != "silu"]
SMOOTH += ["smu", "smu1", "sau", "sigmoid", "tanh", "leaky_gelu", "leaky_gish"]
CPU = torch.device("cpu")


def forward(name, x):
    module = create_activation(name)

    def call():
        with torch.no_grad():
            return module(x)

    return call


def forward_backward(name, x, grad):
    module = create_activation(name)
    wanted = [x, *module.parameters()]
    return lambda: torch.autograd.grad(module(x), wanted, grad)


def report(title, calls, reference, limit, rounds):
    seconds = rotate(calls, CPU, repeats=rounds, warmups=3)
    print(f"\n{title}")
    for name in calls:
        ratios = [a / b for a, b in zip(seconds[name], seconds[reference], strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        bound = limit if name != "lpflu" else min(limit, 2 if limit == 2 else 1.05)
        ratio = statistics.median(ratios)
        verdict = "" if name == reference else f"at most {bound:g}: {'reached' if ratio <= bound else 'missed'}"
        milliseconds = 1000 * statistics.median(seconds[name])
        print(f"  {name:12} {milliseconds:9.2f} ms   x {reference} {ratio:5.2f}  ({low:.2f} to {high:.2f})   {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=("large", "small"), default=["large", "small"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{cpu_model()}, {options.threads} threads, torch {torch.__version__}")
    if "large" in options.parts:
        x = torch.randn(PAPER_SHAPE)
        calls = {name: forward(name, x) for name in ("relu", "lpflu", "pflu")}
        report("forward, 32 x 1024 x 56 x 56", calls, "relu", 1.05, options.rounds)
        x = torch.randn(16, 256, 56, 56, requires_grad=True)
        grad = torch.randn_like(x)
        calls = {
            name: forward_backward(name, x, grad) for name in ("silu", "lpflu", *(n for n in SMOOTH if n != "lpflu"))
        }
        report("forward + backward, 16 x 256 x 56 x 56", calls, "silu", 1.25, options.rounds)
    if "small" in options.parts:
        x = torch.randn(128, 64, 8, 8, requires_grad=True)
        grad = torch.randn_like(x)
        calls = {
            name: forward_backward(name, x, grad) for name in ("silu", "lpflu", "pflu", "smu", "mish", "gish", "swish")
        }
        report("forward + backward, 128 x 64 x 8 x 8", calls, "silu", 2, 20 * options.rounds)


if __name__ == "__main__":
    main()
