"""Where a run ran: versions and device, and which sources were imported. Torch is imported by the caller."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
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
MODIFIED = "modified"


def file_hash(path: Path) -> str:
    """Return 32 hex digits of a file's content."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def source_hash(package: Path) -> str:
    """Return 32 hex digits of all Python sources below a folder and their relative paths."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        digest.update(f"{path.relative_to(package).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()


IMPORTED = source_hash(_PACKAGE)
"""Hash of this package's sources as they were when this process imported them: the files may change under it."""


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit(package: Path, imported: str) -> str | None:
    """Return the commit whose sources were imported.

    Args:
        package: the package's folder.
        imported: hash of what was imported from it (:func:`source_hash`).

    Returns:
        The commit of a checkout in which the package is as committed and as imported, :data:`MODIFIED` if it is not,
        None if the folder is not a checkout of its own: an installed package, or one inside another repository.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) != package.parent:
        return None
    changed = _git(package, "status", "--porcelain", "--untracked-files=all", "--", str(package))
    return _git(package, "rev-parse", "HEAD") if changed == "" and source_hash(package) == imported else MODIFIED


@functools.cache
def imported_commit() -> str | None:
    """Return the commit that this process has imported the package from (:func:`commit`)."""
    return commit(_PACKAGE, IMPORTED)


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_per_core() -> float:
    """Return the load average of the last minute over the cores: above 1, measured times are other programs' too."""
    return round(os.getloadavg()[0] / usable_cores(), 2)


def busy_note(load: float, whose: str) -> str:
    """Return what is to be said of times that were measured at this :func:`load_per_core`; nothing up to 1.

    Args:
        load: the machine's, per core.
        whose: what is said to be the load's too, such as ``these costs are``.
    """
    return f"Measured on a busy machine (load {load:.1f} per core): {whose} the load's too." if load > 1 else ""


def describe(device: Any = None) -> dict[str, Any]:
    """Return package versions and the name of ``device`` (a torch.device; the CPU by default)."""
    import torch

    environment: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            environment[package] = version(package)
        except PackageNotFoundError:
            environment[package] = None
    environment["cpu"] = cpu_model()
    environment["threads"] = torch.get_num_threads()
    environment["cuda"] = torch.version.cuda if device is not None and device.type == "cuda" else None
    environment["device"] = (
        torch.cuda.get_device_name(device) if device is not None and device.type == "cuda" else environment["cpu"]
    )
    # Which of several equal ones: runs at the same time on one GPU slow each other down.
    environment["gpu"] = None if environment["cuda"] is None else str(torch.cuda.get_device_properties(device).uuid)
    return environment


@functools.cache
def module_hash(name: str) -> str | None:
    """Return 32 hex digits of the file of an imported module, as it was when this was first asked; None without one."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file_hash(Path(file)) if file and Path(file).is_file() else None
