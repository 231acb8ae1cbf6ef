"""The cost of a function inside a network: a training step's images per second and memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lpflu_bench.activations.fused import use_mode, use_small_kernels
from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.environment import describe
from lpflu_bench.networks.cifar_resnet import CIFAR_RESNETS
from lpflu_bench.networks.classifiers import build_classifier
from lpflu_bench.speed.memory import bytes_kept, peak_bytes
from lpflu_bench.speed.timing import Spread, rotate

MODES = ("eager", "fused", "compiled")
_LARGE_IMAGE = 64

COLUMNS = (
    *("device", "device_type", "threads", "torch", "network", "dtype", "batch_size", "image_size", "function", "mode"),
    *("repeats", "images_per_second", "seconds_median", "seconds_low", "seconds_high", "ratio_to_relu"),
    *("peak_bytes", "kept_bytes"),
)


@dataclass(frozen=True)
class Step:
    """A training step of one network with one function: forward, cross-entropy, backward, SGD."""

    network: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    images: Tensor
    targets: Tensor
    mode: str
    dtype: torch.dtype

    def forward(self) -> Tensor:
        """The loss."""
        with (
            use_mode(self.mode),
            torch.autocast(self.images.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            return nn.functional.cross_entropy(self.network(self.images), self.targets)

    def __call__(self) -> None:
        """Do the step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.forward().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


@use_small_kernels()  # as in a training, which is longer
def measure_network(
    network: str,
    functions: Sequence[str],
    *,
    modes: Sequence[str] = ("eager", "fused"),
    dtype: str = "float32",
    batch_size: int = 32,
    image_size: int = 32,
    repeats: int = 5,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Time training steps of a classifier with each function.

    The network has 100 classes and for images below 64 x 64, as in the CIFAR-100 recipes, the last three downsamplings
    only. Steps of all functions take turns.

    Args:
        network: A torchvision classifier's name.
        functions: Registry names; ReLU is measured in any case, and first.
        modes: Of "eager", "fused" and "compiled" (``torch.compile`` of the network).
        dtype: "float32"; or "bfloat16" or "float16" for autocast.
        batch_size: Images a step.
        image_size: Their height and width.
        repeats: Steps measured of each.
        device: Where to compute.
        progress: Called with a line whenever something is done.

    Returns:
        One row for each function and mode, with the columns :data:`COLUMNS`. peak_bytes is the largest amount of memory
        that the step has allocated beyond what was there before: on a GPU ``torch.cuda.max_memory_allocated``, on a CPU
        from the allocations and releases that ``torch.profiler`` records. kept_bytes is what autograd keeps
        between forward and backward, each storage once, parameters left out.
    """
    device = torch.device(device)
    downsamplings = 3 if image_size < _LARGE_IMAGE and network not in CIFAR_RESNETS else None
    environment = describe(device)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, 3, image_size, image_size, generator=generator).to(device)
    targets = torch.randint(100, (batch_size,), generator=generator).to(device)
    steps: dict[tuple[str, str], Callable[[], object]] = {}
    memory: dict[tuple[str, str], tuple[int, int]] = {}
    for function in dict.fromkeys(["relu", *functions]):
        for mode in modes:
            torch.manual_seed(0)
            built = build_classifier(network, 100, downsamplings=downsamplings)
            replace_activations(built, function)
            built.to(device).train()
            run = torch.compile(built, dynamic=False) if mode == "compiled" else built
            step = Step(run, torch.optim.SGD(built.parameters(), lr=1e-4), images, targets, mode, getattr(torch, dtype))
            step()  # compiles
            steps[function, mode] = step
            memory[function, mode] = (
                peak_bytes(step, device),
                bytes_kept(step.forward, built.parameters()),
            )
            progress(f"{network}: {function}, {mode} is ready")
    seconds = rotate(
        steps,
        device,
        repeats=repeats,
        warmups=1,
        each_round=lambda done: progress(f"{network}: step {done} of {repeats}"),
    )
    rows: list[dict[str, Any]] = []
    for (function, mode), values in seconds.items():
        spread = Spread.of(values)
        reference = seconds["relu", modes[0]]
        rows.append(
            {
                "device": environment["device"],
                "device_type": device.type,
                "threads": environment["threads"],
                "torch": torch.__version__,
                "network": network,
                "dtype": dtype,
                "batch_size": batch_size,
                "image_size": image_size,
                "function": function,
                "mode": mode,
                "repeats": repeats,
                "images_per_second": batch_size / spread.median,
                "seconds_median": spread.median,
                "seconds_low": spread.low,
                "seconds_high": spread.high,
                "ratio_to_relu": Spread.of([a / b for a, b in zip(values, reference, strict=True)]).median,
                "peak_bytes": memory[function, mode][0],
                "kept_bytes": memory[function, mode][1],
            }
        )
    return pd.DataFrame(rows)[list(COLUMNS)]
