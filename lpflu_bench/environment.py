"""Where a run ran: versions, commit, device. Torch is imported by the caller before anything here needs it."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "lpflu-bench",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "kornia",
    "segmentation-models-pytorch",
    "faster-coco-eval",
    "pycocotools",
    "numpy",
)


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> tuple[str | None, bool | None]:
    """Return the commit this package runs from and whether the tree differs from it; (None, None) when installed."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top) != Path(__file__).resolve().parent.parent:
        return None, None  # an installed package, or one that lies inside somebody else's repository
    return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--untracked-files=no", "--", "lpflu_bench"))


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(device: Any = None) -> dict[str, Any]:
    """Return package versions, commit and the name of ``device`` (a torch.device; the CPU by default)."""
    import torch

    environment: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            environment[package] = version(package)
        except PackageNotFoundError:
            environment[package] = None
    environment["commit"], environment["dirty"] = commit()
    environment["cpu"] = cpu_model()
    environment["threads"] = torch.get_num_threads()
    environment["cuda"] = torch.version.cuda if device is not None and device.type == "cuda" else None
    environment["device"] = (
        torch.cuda.get_device_name(device) if device is not None and device.type == "cuda" else environment["cpu"]
    )
    return environment
