"""How fast and with how much memory a stage ran."""

import ctypes
import gc
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import ClassVar

import torch

from lpflu_bench.devices import wait_for

_PROC = Path("/proc/self")


class Clock:
    """Seconds and samples of the epochs of one stage; the device is waited for at both ends."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._samples = 0
        self._elapsed = 0.0
        self._since: float | None = None

    def start(self, device: torch.device) -> None:
        """Begin an epoch."""
        self._samples, self._elapsed = 0, 0.0
        self.resume(device)

    def resume(self, device: torch.device) -> None:
        """Count time again."""
        wait_for(device)
        self._since = time.perf_counter()

    def pause(self, device: torch.device) -> None:
        """Do not count the time from now on."""
        wait_for(device)
        if self._since is not None:
            self._elapsed += time.perf_counter() - self._since
        self._since = None

    def count(self, samples: int) -> None:
        """Count the samples of a batch."""
        self._samples += samples

    def stop(self, device: torch.device) -> None:
        """End the epoch."""
        self.pause(device)
        self.epochs.append({"samples": self._samples, "seconds": self._elapsed})

    @property
    def seconds(self) -> float:
        """Of all epochs."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    def images_per_second(self, world_size: int) -> float | None:
        """The median over epochs without the first, which warms up, where there are more; of all ranks together."""
        rates = [e["samples"] * world_size / e["seconds"] for e in self.epochs if e["seconds"] > 0]
        return median(rates[1:] or rates) if rates else None


class PeakMemory:
    """Peak memory from :meth:`start` on: of the allocator on a GPU, of the whole process (resident) on a CPU.

    What an earlier run in the same process had and freed does not count: it is given back to the system, and the
    system's mark is reset. Where the mark cannot be reset (not Linux), only the first run of a process has a number.
    """

    _started: ClassVar[int] = 0

    def __init__(self) -> None:
        self._own = True

    def start(self, device: torch.device) -> None:
        """Forget what was before."""
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        try:
            (_PROC / "clear_refs").write_text("5", encoding="ascii")
            self._own = True
        except OSError:
            self._own = PeakMemory._started == 0
        PeakMemory._started += 1

    def megabytes(self, device: torch.device) -> float | None:
        """Return the peak since :meth:`start`; None if it cannot be distinguished from an earlier run's."""
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device) / 2**20
        if not self._own:
            return None
        with suppress(OSError):
            for line in (_PROC / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
