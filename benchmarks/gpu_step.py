"""Training steps of a classifier on a GPU, images/s: what each setting brings, and several replicas at once.

    uv run python benchmarks/gpu_step.py [--network regnet_y_800mf] [--activation lpflu] [--steps 150] [--replicas 1 4 8]

CIFAR-sized images, 128 in a batch, the paper's augmentation. The bare loop takes prepared batches from the device. With
--replicas so many processes train at once, each on its own, in the fastest setting; a rate is that of all together. The floor
is the time in which the card can move each layer's input and output once forward and twice backward, and nothing else.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from pipeline import BATCH, RandomImages
from pytorch_lightning import seed_everything
from rates import bare_rate, print_rates, suite_rate

from lpflu_bench.modules import ClassificationModule
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.training.output import quiet

BF16 = {"precision": "bf16-mixed"}
FAST = {"on_device": True, "channels_last": True, "cuda_graph": True, "fused": True}
# Each with one thing more than the one before, in float32 and then in bfloat16.
WAYS = {
    "suite": {},
    "+ images on the GPU": {"on_device": True},
    "+ channels_last": {"on_device": True, "channels_last": True},
    "+ CUDA graph": {"on_device": True, "channels_last": True, "cuda_graph": True},
    "+ fused optimizer": FAST,
    "+ bfloat16": FAST | BF16,
    "bfloat16, no graph": FAST | BF16 | {"cuda_graph": False},
    "bfloat16, compiled": FAST | BF16 | {"cuda_graph": False, "compile": True},
}


def module(args, fused=False, channels_last=False, cuda_graph=False, compile=False):
    seed_everything(0, verbose=False)
    return ClassificationModule(
        network=args.network,
        num_classes=100,
        downsamplings=3 if args.network.startswith("regnet") else None,
        activation=args.activation,
        optimizer=lambda p: torch.optim.Adam(p, lr=1e-4, fused=fused),
        channels_last=channels_last,
        cuda_graph=cuda_graph,
        compile=compile,
    )


def rate(args, way):
    way = dict(way)
    data = RandomImages(root=".", batch_size=BATCH, on_device=way.pop("on_device", False))
    trainer = {"accelerator": "gpu", "devices": 1, "precision": way.pop("precision", "32-true")}
    return suite_rate(module(args, **way), data, BATCH, args.steps, **trainer)


def bare(args):
    images = torch.randn(8, BATCH, 3, 32, 32, device="cuda")
    targets = torch.randint(100, (8, BATCH), device="cuda")
    batches = list(zip(images, targets, strict=True))
    return bare_rate(module(args).cuda(), lambda network, x, y: F.cross_entropy(network(x), y), batches, args.steps)


def floor(args):
    """Images/s if only memory were moved."""
    network = build_classifier(args.network, 100, downsamplings=3 if args.network.startswith("regnet") else None).cuda()
    moved = 0

    def count(_, inputs, output):
        nonlocal moved
        moved += sum(tensor.nbytes for tensor in (*inputs, output))

    for layer in network.modules():
        if not any(layer.children()):
            layer.register_forward_hook(count)
    network(torch.randn(BATCH, 3, 32, 32, device="cuda"))
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    seconds = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    bandwidth = 2 * source.nbytes / statistics.median(seconds)
    return BATCH * bandwidth / (3 * moved), bandwidth


def _replica(args, barrier, rates):
    quiet()
    warnings.simplefilter("ignore")
    rate(
        argparse.Namespace(**vars(args) | {"steps": 10}), WAYS[args.way]
    )  # the kernels are compiled, the memory is taken
    barrier.wait()
    rates.put(rate(args, WAYS[args.way]))


def replicas(args, count):
    context = multiprocessing.get_context("spawn")
    barrier, rates = context.Barrier(count), context.Queue()
    processes = [context.Process(target=_replica, args=(args, barrier, rates)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [rates.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    return sum(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="regnet_y_800mf")
    parser.add_argument("--activation", default="lpflu")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--replicas", type=int, nargs="*", default=[])
    parser.add_argument("--way", choices=WAYS, default="+ bfloat16", help="of the replicas")
    parser.add_argument("--only", nargs="*", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    best, bandwidth = floor(args)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {bandwidth / 1e12:.2f} TB/s copied and read")
    rates = {"bare loop": [bare(args) for _ in range(args.rounds)]}
    for name in args.only:
        try:
            rates[name] = [rate(args, WAYS[name]) for _ in range(args.rounds)]
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    print_rates(f"{args.network}, {args.activation}, {BATCH} images a batch", rates)
    print(f"  {'floor (float32)':24}{best:9.0f} images/s")
    for count in args.replicas:
        print(f"  {count} at once, {args.way:12}{replicas(args, count):9.0f} images/s", flush=True)
    fastest = max(statistics.median(values) for values in rates.values())
    print(f"  80 epochs of CIFAR-100 at the fastest: {80 * 390 * BATCH / fastest:.0f} s")


if __name__ == "__main__":
    main()
