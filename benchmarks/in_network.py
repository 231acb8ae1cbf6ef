"""Training steps of whole networks with a function over the same with PyTorch's SiLU: images/s, steps taking turns.

    uv run python benchmarks/in_network.py [--rounds 15] [--threads 2] [--functions lpflu pflu mish] [--compile]
    uv run python benchmarks/in_network.py --threads 1 --processor-time   # on a machine that others use
    uv run python benchmarks/in_network.py --device cuda --scale 8 [--bf16] [--compile]

ResNet-8 (64 images of 32 x 32), MobileNetV3-small (16 of 64 x 64), a U-Net with a ResNet-18 encoder (4 of 32 x 64) and
RegNetY-800MF (32 of 32 x 32); forward, a mean as loss, backward, SGD, and the slopes' advance. LPFLU should reach 0.97,
PFLU and Mish 0.95; with --compile (torch.compile of the network) LPFLU 0.99. A ratio is the median of the rounds' ratios.
"""

import argparse
import statistics

import torch
import torchvision

from lpflu_bench import advance_slopes, replace_activations
from lpflu_bench.activations import fused
from lpflu_bench.activations.leaky import ema_layers
from lpflu_bench.environment import describe
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.networks.segmenters import build_segmenter
from lpflu_bench.speed.timing import by_processor_time, by_wall_clock, rotate

NETWORKS = {
    "ResNet-8": (lambda: build_classifier("resnet8", 10), (64, 3, 32, 32)),
    "MobileNetV3": (lambda: torchvision.models.mobilenet_v3_small(num_classes=10), (16, 3, 64, 64)),
    "U-Net": (lambda: build_segmenter(3, encoder_name="resnet18"), (4, 3, 32, 64)),
    "RegNetY-800MF": (lambda: build_classifier("regnet_y_800mf", 100, downsamplings=3), (32, 3, 32, 32)),
}
AT_LEAST = {"lpflu": 0.97, "pflu": 0.95, "mish": 0.95}


def step(build, shape, function, options):
    torch.manual_seed(0)
    network = build().train().to(options.device)
    replace_activations(network, function)
    run = torch.compile(network) if options.compile else network
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(options.device)
    count = iter(range(10**9))
    layers = ema_layers(network)  # once, as the suite's callback does in each epoch

    def call():
        advance_slopes(layers, seed=0, step=next(count))
        optimizer.zero_grad()
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            loss = run(images).float().mean()
        loss.backward()
        optimizer.step()

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--functions", nargs="+", default=["lpflu", "pflu", "mish"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=int, default=1, help="so many times the images in a batch")
    parser.add_argument("--processor-time", action="store_true", help="this thread's, with --threads 1 on a CPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    fused.set_small_kernels(True)
    found = describe(torch.device(options.device))
    kinds = [name for name, used in (("bf16", options.bf16), ("compiled", options.compile)) if used]
    kinds += [f"{options.scale} times the images"] if options.scale > 1 else []
    print(", ".join([found["device"], f"{found['threads']} threads", f"torch {torch.__version__}", *kinds]))
    for name in options.networks:
        build, (batch, *size) = NETWORKS[name]
        shape = (batch * options.scale, *size)
        calls = {f: step(build, shape, f, options) for f in dict.fromkeys(["silu", *options.functions])}
        clock = by_processor_time if options.processor_time else by_wall_clock
        seconds = rotate(calls, torch.device(options.device), repeats=options.rounds, warmups=3, clock=clock)
        for function in calls:
            ratios = [b / a for a, b in zip(seconds[function], seconds["silu"], strict=True)]
            ratio = statistics.median(ratios)
            bound = 0.99 if options.compile else AT_LEAST.get(function)
            verdict = "" if bound is None or function == "silu" else f"at least {bound}: "
            if verdict:
                verdict += "reached" if ratio >= bound else "missed"
            rate = shape[0] / statistics.median(seconds[function])
            print(f"  {name:14} {function:8} {rate:8.0f} images/s   / silu {ratio:.3f}   {verdict}")


if __name__ == "__main__":
    main()
