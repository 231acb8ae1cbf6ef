"""The record of a run: what was trained, how, how fast, and what came out."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lpflu_bench import environment
from lpflu_bench.activations.registry import activation_name
from lpflu_bench.callbacks.diagnostics import Diagnostics
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.records import FILE_NAME, SCHEMA, config_hash, identity, write_record
from lpflu_bench.seeding import run_seed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _batch_size(batch: Any) -> int:
    return len(batch[0])


class _Clock:
    """Seconds and samples of the epochs of one stage; the device is waited for at both ends."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._samples = 0
        self._elapsed = 0.0
        self._since: float | None = None

    def start(self, device: torch.device) -> None:
        self._samples, self._elapsed = 0, 0.0
        self.resume(device)

    def resume(self, device: torch.device) -> None:
        _wait_for(device)
        self._since = time.perf_counter()

    def pause(self, device: torch.device) -> None:
        _wait_for(device)
        if self._since is not None:
            self._elapsed += time.perf_counter() - self._since
        self._since = None

    def count(self, samples: int) -> None:
        self._samples += samples

    def stop(self, device: torch.device) -> None:
        self.pause(device)
        self.epochs.append({"samples": self._samples, "seconds": self._elapsed})

    def summary(self, world_size: int) -> dict[str, float | None]:
        """Seconds in all; images/s as the median over epochs without the first, which warms up, where there are more."""
        rates = [e["samples"] * world_size / e["seconds"] for e in self.epochs if e["seconds"] > 0]
        return {
            "seconds": sum(e["seconds"] for e in self.epochs),
            "images_per_second": median(rates[1:] or rates) if rates else None,
        }


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory_mb(device: torch.device) -> float:
    """Peak memory: of the allocator on a GPU, of the whole process (resident) on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class RunRecord(Callback):
    """Leaves ``record.json`` in the run's folder: after ``fit`` (status "fitted"), completed by ``test`` ("finished").

    What ``fit`` measured travels in the checkpoint, so that a ``test`` in a fresh process completes the same record and
    a resumed run adds to it. A run that stops on an error is recorded as "failed" with the error, epoch and step.

    Args:
        run_dir: the run's folder.
        task: name of the task in tables.
        config: the resolved configuration.
    """

    def __init__(self, run_dir: str | Path, task: str = "custom", config: Mapping[str, Any] | None = None) -> None:
        self.run_dir = Path(run_dir)
        self.task = task
        self.config = identity(config or {})
        self._train, self._test = _Clock(), _Clock()
        self._fit: dict[str, Any] = {"started_at": None, "curve": [], "resumed": 0}
        self.scored_weights: Literal["metrics", "metrics_averaged"] = "metrics"
        """Under which key the next `test` puts its scores: those of the raw or of the averaged weights."""
        self._test_scores: dict[str, dict[str, float]] = {}
        self._num_test_samples: int | None = None

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.run_dir / FILE_NAME

    # --- what travels in the checkpoint ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured so far, and the configuration that was trained."""
        return {"fit": self._fit, "train_epochs": self._train.epochs, "config": self.config}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._fit = state_dict["fit"]
        self._train.epochs = state_dict["train_epochs"]

    # --- fit ---------------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start."""
        if trainer.ckpt_path:
            self._fit["resumed"] += 1
        self._fit["started_at"] = self._fit["started_at"] or _now()
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._train.start(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images."""
        self._train.count(_batch_size(batch))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scoring is not training time."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._train.pause(pl_module.device)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training goes on."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._train.resume(pl_module.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch to the curve."""
        self._train.stop(pl_module.device)
        logged = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("train_", "val_"))
        }
        self._fit["curve"].append({"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **logged})
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Diagnostics):
                self._fit["diagnostics"] = callback.summary
        self._fit["peak_memory_mb"] = max(self._fit.get("peak_memory_mb", 0.0), _peak_memory_mb(pl_module.device))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the record of the training."""
        self._write(trainer, pl_module, status="fitted")

    # --- test --------------------------------------------------------------------------------------------------------

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._test.start(pl_module.device)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count images."""
        self._test.count(_batch_size(batch))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that each sample was scored once, and leave the finished record."""
        assert isinstance(pl_module, BenchModule)
        self._test.stop(pl_module.device)
        scores = {
            name.removeprefix("test_"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("test_")
        }
        self._num_test_samples = pl_module.num_scored
        expected = getattr(trainer.datamodule, "test_size", None)  # type: ignore[attr-defined]
        whole = isinstance(trainer.limit_test_batches, float) and trainer.limit_test_batches == 1.0  # 1 is one batch
        if whole and expected is not None and expected != self._num_test_samples:
            raise RuntimeError(f"the test set has {expected} samples, {self._num_test_samples} were scored")
        self._test_scores[self.scored_weights] = scores
        self._write(trainer, pl_module, status="finished")

    # --- failure -----------------------------------------------------------------------------------------------------

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Record the failure, so that nobody takes the run for a finished one."""
        if isinstance(exception, KeyboardInterrupt | SystemExit) or trainer.state.fn != "fit":
            return  # a `test` that fails leaves the record of its training as it was
        where = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        if hasattr(exception, "epoch") and hasattr(exception, "step"):
            where = {"epoch": exception.epoch, "step": exception.step}
        lines = str(exception).strip().splitlines() or [""]
        error = f"{type(exception).__name__}: {lines[0]}"
        self._write(trainer, pl_module, status="failed", error=error, failed_at=where)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self, trainer: Trainer, pl_module: LightningModule, status: str, **more: Any) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, BenchModule)
        data = getattr(trainer, "datamodule", None)
        batch_size = getattr(data, "batch_size", None)
        activation = pl_module.activation
        curve = self._fit["curve"]
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "status": status,
            "error": None,
            "failed_at": None,
            "task": self.task,
            "kind": pl_module.kind,
            "network": pl_module.network_name,
            "activation": activation_name(activation),
            "activation_settings": {} if isinstance(activation, str) else activation.get("init_args", {}),
            "seed": run_seed(),
            "scores": [asdict(score) for score in pl_module.declared_scores],
            **self._test_scores,
            "num_test_samples": self._num_test_samples,
            "parameters": sum(p.numel() for p in pl_module.network.parameters()),
            "epochs": curve[-1]["epoch"] if curve else 0,
            "steps": curve[-1]["step"] if curve else 0,
            "batch_size": batch_size,
            "total_batch_size": batch_size and batch_size * trainer.world_size * trainer.accumulate_grad_batches,
            "devices": trainer.world_size,
            "precision": str(trainer.precision),
            "train": {**self._train.summary(trainer.world_size), "peak_memory_mb": self._fit.get("peak_memory_mb")},
            "test": {
                **self._test.summary(trainer.world_size),
                "peak_memory_mb": _peak_memory_mb(pl_module.device) if self._test.epochs else None,
            },
            "resumed": self._fit["resumed"],
            "curve": curve,
            "diagnostics": self._fit.get("diagnostics"),
            "placement": pl_module.placement.summary(),
            "config": self.config,
            "config_hash": config_hash(self.config),
            "environment": environment.describe(pl_module.device),
            "started_at": self._fit["started_at"],
            "finished_at": _now(),
            **more,
        }
        write_record(record, self.path)
