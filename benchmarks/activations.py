"""What the fast path is held to, as ratios measured in one run on this machine.

    uv run python benchmarks/activations.py [--rounds 15] [--threads 2] [--parts large sizes cold] [--functions lpflu mish]
    uv run python benchmarks/activations.py --threads 1 --processor-time   # on a machine that others use
    uv run python benchmarks/activations.py --device cuda [--dtype bfloat16]

large: LPFLU's forward over ReLU's on 32 x 1024 x 56 x 56 (at most 1.05), and forward + backward of every smooth function
over PyTorch's SiLU on 16 x 256 x 56 x 56 (LPFLU at most 1.05, the others 1.25). sizes: forward + backward over SiLU's from 64
to 1M elements in one dimension (LPFLU at most 1.7 at 64 and 1k, 1.3 from 16k, 1.0 from 64k; every other smooth function at
most 2.5 below 64k). cold: forward + backward on 16 x 16 x 8 x 8 right after a convolution's step, as in a network, where the
processor's caches hold little of the function; with SiLU's own kernels called by a torch.autograd.Function, below which no
function that is written in Python can come. Calls take turns; a ratio is the median of the rounds' ratios. On a GPU a time
of `large` is the GPU's, one of `sizes` that of ten calls with their launches. Kernels are compiled before anything is timed.
"""

import argparse
import statistics

import torch

from lpflu_bench.activations import create_activation, fused
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.environment import describe
from lpflu_bench.speed.pointwise import PAPER_SHAPE
from lpflu_bench.speed.timing import by_processor_time, by_wall_clock, rotate

SMOOTH = [name for name, entry in ENTRIES.items() if entry.smooth_relu and name != "silu"]
SMOOTH += ["smu", "smu1", "sau", "sigmoid", "tanh", "leaky_gelu", "leaky_gish"]
SIZES = {"64": 1 << 6, "1k": 1 << 10, "16k": 1 << 14, "32k": 1 << 15, "64k": 1 << 16, "1M": 1 << 20}
LPFLU_AT_MOST = {"64": 1.7, "1k": 1.7, "16k": 1.3, "32k": 1.3, "64k": 1.0, "1M": 1.0}


def forward(name, x):
    module = create_activation(name).to(x.device)

    def call():
        with torch.no_grad():
            return module(x)

    return call


def forward_backward(name, x, grad):
    module = create_activation(name).to(x.device)
    wanted = [x, *module.parameters()]
    return lambda: torch.autograd.grad(module(x), wanted, grad)


def ten(call):
    def calls():
        for _ in range(10):
            call()

    return calls


def ratios_to(reference, calls, options, rounds, clock):
    seconds = rotate(calls, torch.device(options.device), repeats=rounds, warmups=3, clock=clock)
    return seconds, {name: [a / b for a, b in zip(seconds[name], seconds[reference], strict=True)] for name in calls}


def report(title, calls, reference, limit, options):
    clock = by_processor_time if options.processor_time else None
    seconds, ratios = ratios_to(reference, calls, options, options.rounds, clock)
    print(f"\n{title}")
    for name in calls:
        low, _, high = statistics.quantiles(ratios[name], n=4)
        bound = limit if name != "lpflu" else 1.05
        ratio = statistics.median(ratios[name])
        verdict = "" if name == reference else f"at most {bound:g}: {'reached' if ratio <= bound else 'missed'}"
        milliseconds = 1000 * statistics.median(seconds[name])
        print(f"  {name:12} {milliseconds:9.2f} ms   x {reference} {ratio:5.2f}  ({low:.2f} to {high:.2f})   {verdict}")


def sizes(names, options, where):
    fused.set_small_kernels(True)
    print(
        "\nforward + backward over SiLU's, one dimension\n"
        + f"  {'elements':12}"
        + "".join(f"{size:>8}" for size in SIZES)
    )
    found = {name: {} for name in names}
    for size, numel in SIZES.items():
        x = torch.randn(numel, **where, requires_grad=True)
        grad = torch.randn_like(x)
        calls = {name: forward_backward(name, x, grad) for name in names}
        rounds = options.rounds * (20 if numel < 1 << 18 else 2)
        clock = by_processor_time if options.processor_time else by_wall_clock
        if options.device != "cpu":
            calls, rounds = {name: ten(call) for name, call in calls.items()}, options.rounds
        _, ratios = ratios_to("silu", calls, options, rounds, clock)
        for name in names:
            found[name][size] = statistics.median(ratios[name])
    for name, by_size in found.items():
        bounds = LPFLU_AT_MOST if name == "lpflu" else dict.fromkeys(("64", "1k", "16k", "32k"), 2.5)
        missed = [size for size, bound in bounds.items() if by_size[size] > bound]
        verdict = "" if name == "silu" else f"   missed at {', '.join(missed)}" if missed else "   reached"
        print(f"  {name:12}" + "".join(f"{ratio:8.2f}" for ratio in by_size.values()) + verdict)


class SiLUInPython(torch.autograd.Function):
    """PyTorch's kernels, by way of Python."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.ops.aten.silu.default(x)

    @staticmethod
    def backward(ctx, grad):
        return torch.ops.aten.silu_backward.default(grad, *ctx.saved_tensors)


def cold(names, options, where):
    fused.set_small_kernels(True)
    device = torch.device(options.device)
    clock = by_processor_time if options.processor_time else by_wall_clock
    layers = [torch.nn.Conv2d(16, 24, 1), torch.nn.BatchNorm2d(24), torch.nn.Conv2d(24, 16, 3, padding=1)]
    others = torch.nn.Sequential(*layers).to(**where)
    x, grad = torch.randn(2, 16, 16, 8, 8, **where)
    x.requires_grad_()
    calls = {name: forward_backward(name, x, grad) for name in names}
    calls["silu, Python"] = lambda: torch.autograd.grad(SiLUInPython.apply(x), [x], grad)
    seconds = {name: [] for name in calls}
    order = list(calls)
    for number in range(40 * options.rounds):
        order.append(order.pop(0))
        for name in order:
            others(x).mean().backward()
            spent = clock(calls[name], device)
            if number >= 3:
                seconds[name].append(spent)
    print("\nforward + backward after a convolution, 16 x 16 x 8 x 8")
    for name, spent in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(spent, seconds["silu"], strict=True))
        print(f"  {name:12} {1e6 * statistics.median(spent):9.0f} us   x silu {ratio:5.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--functions", nargs="+", default=["lpflu", *(name for name in SMOOTH if name != "lpflu")])
    parser.add_argument("--parts", nargs="+", choices=("large", "sizes", "cold"), default=["large", "sizes"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--processor-time", action="store_true", help="this thread's, with --threads 1 on a CPU")
    options = parser.parse_args()
    names = list(dict.fromkeys(["silu", *options.functions]))
    torch.set_num_threads(options.threads)
    where = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    found = describe(torch.device(options.device))
    print(f"{found['device']}, {found['threads']} threads, torch {torch.__version__}, {options.dtype}")
    if "large" in options.parts:
        x = torch.randn(PAPER_SHAPE, **where)
        calls = {name: forward(name, x) for name in ("relu", "lpflu", "pflu")}
        report("forward, 32 x 1024 x 56 x 56", calls, "relu", 1.05, options)
        x = torch.randn(16, 256, 56, 56, **where, requires_grad=True)
        grad = torch.randn_like(x)
        calls = {name: forward_backward(name, x, grad) for name in names}
        report("forward + backward, 16 x 256 x 56 x 56", calls, "silu", 1.25, options)
    if "sizes" in options.parts:
        sizes(names, options, where)
    if "cold" in options.parts:
        cold(names, options, where)


if __name__ == "__main__":
    main()
