"""The record of a run: what was trained, how, how fast, and the results."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer

from lpflu_bench import environment
from lpflu_bench.activations.registry import activation_name
from lpflu_bench.callbacks.clock import Clock, PeakMemory
from lpflu_bench.callbacks.diagnostics import Diagnostics
from lpflu_bench.callbacks.trained_code import trained_code
from lpflu_bench.callbacks.training_end import out_of_time, untrained
from lpflu_bench.errors import UserError
from lpflu_bench.identity import conditions, config_hash, identity
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.outcomes import save_outcomes
from lpflu_bench.record_files import read_record, write_record
from lpflu_bench.records import FILE_NAME, Deployed, Record, ScoreFields, Status, Tested, Trained, Weights
from lpflu_bench.seeding import run_seed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _batch_size(batch: Any) -> int:
    return len(batch[0])


def _larger(a: float | None, b: float | None) -> float | None:
    return max((value for value in (a, b) if value is not None), default=None)


class RunRecord(Callback):
    """Leaves ``record.json`` in the run's folder: after ``fit`` what was trained, after ``test`` what it scored, too.

    What was trained travels in the checkpoint, configuration and environment included: a ``test`` in a fresh process
    completes the same record whatever its own configuration says, and a resumed run adds to it. The statuses are those
    of :data:`lpflu_bench.records.Status`.

    Args:
        run_dir: the run's folder.
        task: name of the task in tables.
        config: the resolved configuration of the command, machine settings included.
    """

    def __init__(self, run_dir: str | Path, task: str = "custom", config: Mapping[str, Any] | None = None) -> None:
        self.run_dir = Path(run_dir)
        self.task = task
        self.config = dict(config or {})
        self.scored_weights: Weights = "raw"
        """Which weights the next `test` scores."""
        self._train_clock, self._test_clock = Clock(), Clock()
        self._memory = PeakMemory()
        self._trained: Trained | None = None
        self._tested: list[Tested] = []

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.run_dir / FILE_NAME

    @property
    def trained(self) -> Trained:
        """What was trained so far; there once ``fit`` has started or a checkpoint is loaded."""
        assert self._trained is not None
        return self._trained

    # --- what travels in the checkpoint ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what was trained so far, and the whole configuration, with which the checkpoint is tested."""
        return {"trained": self._trained, "train_epochs": self._train_clock.epochs, "config": self.config}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was trained."""
        self._trained = state_dict["trained"]
        self._train_clock.epochs = state_dict["train_epochs"]

    # --- fit ---------------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what is going to be trained."""
        assert isinstance(pl_module, BenchModule)
        before, now = self._trained, _now()
        self._memory.start(pl_module.device)
        activation = pl_module.activation
        data = getattr(trainer, "datamodule", None)
        batch_size = getattr(data, "batch_size", None)
        self._trained = {
            "task": self.task,
            "kind": pl_module.kind,
            "network": pl_module.network_name,
            "activation": activation_name(activation),
            "activation_settings": {} if isinstance(activation, str) else dict(activation.get("init_args") or {}),
            "seed": run_seed(),
            "class_names": _class_names(data),
            "parameters": sum(p.numel() for p in pl_module.network.parameters()),
            "epochs": before["epochs"] if before else 0,
            "steps": before["steps"] if before else 0,
            "incomplete": untrained(trainer, before["epochs"] if before else 0),
            "batch_size": batch_size,
            "total_batch_size": batch_size and batch_size * trainer.world_size * trainer.accumulate_grad_batches,
            "devices": trainer.world_size,
            "precision": str(trainer.precision),
            "optimizer": type(trainer.optimizers[0]).__name__ if trainer.optimizers else None,
            "seconds": self._train_clock.seconds,
            "images_per_second": self._train_clock.images_per_second(trainer.world_size),
            "peak_memory_mb": before["peak_memory_mb"] if before else None,
            "resumed": before["resumed"] + 1 if before else 0,
            "curve": list(before["curve"]) if before else [],
            "validation_conditions": conditions(self.config, {}),
            "diagnostics": before["diagnostics"] if before else None,
            "placement": pl_module.placement.summary(),
            "config": identity(self.config),
            "config_hash": config_hash(self.config),
            "code": trained_code(pl_module),
            "environment": environment.describe(pl_module.device),
            "started_at": before["started_at"] if before else now,
            "finished_at": before["finished_at"] if before else None,
            "sessions": [*(before.get("sessions", []) if before else []), {"started_at": now, "finished_at": None}],
        }

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._train_clock.start(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images."""
        self._train_clock.count(_batch_size(batch))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scoring is not training time."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._train_clock.pause(pl_module.device)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training continues."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._train_clock.resume(pl_module.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch, before its checkpoint is written."""
        assert self._trained is not None
        trained, clock, device = self._trained, self._train_clock, pl_module.device
        if trainer.global_step == trained["steps"]:
            return  # stopped before the epoch's first step: there is no such epoch
        clock.stop(device)
        logged = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("train_", "val_"))
        }
        epoch = trainer.current_epoch + 1
        trained["curve"].append({"epoch": epoch, "step": trainer.global_step, **logged})
        trained["epochs"], trained["steps"] = epoch, trainer.global_step
        trained["incomplete"] = untrained(trainer, epoch)
        trained["seconds"] = clock.seconds
        trained["images_per_second"] = clock.images_per_second(trainer.world_size)
        trained["peak_memory_mb"] = _larger(trained["peak_memory_mb"], self._memory.megabytes(device))
        trained["finished_at"] = trained["sessions"][-1]["finished_at"] = _now()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Diagnostics):
                trained["diagnostics"] = callback.summary

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the record of the training."""
        assert self._trained is not None
        status: Status = "fitted"
        if self._trained["incomplete"]:
            status = "interrupted" if out_of_time(trainer) else "partial"
        self._write(trainer, pl_module, status)

    # --- test --------------------------------------------------------------------------------------------------------

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse data whose classes are others than those trained on: each output would count as another class.

        Raises:
            UserError: names the first class that differs.
        """
        trained = self._trained.get("class_names") if self._trained else None
        tested = _class_names(getattr(trainer, "datamodule", None))
        if trained and tested and trained != tested:
            place = next((i for i, (a, b) in enumerate(zip(trained, tested, strict=False)) if a != b), 0)
            raise UserError(
                f"class {place + 1} of the data is {tested[place]!r}, the network was trained with {trained[place]!r} in "
                "its place: name the classes as they were in training (data.classes or data.labels)"
            )

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._test_clock = Clock()
        self._memory.start(pl_module.device)
        self._test_clock.start(pl_module.device)

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
        self._test_clock.count(_batch_size(batch))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that each sample was scored once, and add the test to the record."""
        assert isinstance(pl_module, BenchModule)
        device, data = pl_module.device, getattr(trainer, "datamodule", None)
        self._test_clock.stop(device)
        # 1 is one batch, 1.0 is all of them
        whole = isinstance(trainer.limit_test_batches, float) and trainer.limit_test_batches == 1.0
        expected = getattr(data, "test_size", None)
        if whole and expected is not None and expected != pl_module.num_scored:
            raise RuntimeError(f"the test set has {expected} samples, {pl_module.num_scored} were scored")
        if self._trained is None:
            raise UserError("the weights were not trained by `lpflu-bench fit`: there is no record to complete")
        test: Tested = {
            "weights": self.scored_weights,
            "conditions": conditions(self.config, self._trained["config"]),
            "metrics": pl_module.test_scores,
            "num_samples": pl_module.num_scored,
            "incomplete": None if whole else f"{pl_module.num_scored} of {expected} test samples",
            "batch_size": getattr(data, "test_batch_size", None) or getattr(data, "batch_size", None),
            "devices": trainer.world_size,
            "precision": str(trainer.precision),
            "seconds": self._test_clock.seconds,
            "images_per_second": self._test_clock.images_per_second(trainer.world_size),
            "peak_memory_mb": self._memory.megabytes(device),
            "outcomes": None,
            "code": trained_code(pl_module),
            "environment": environment.describe(device),
            "finished_at": _now(),
        }
        earlier = self._earlier()
        others = _other_tests(self._tested or (earlier["tested"] if earlier else []), test)
        if trainer.is_global_zero and pl_module.outcomes is not None:
            test["outcomes"] = save_outcomes(
                pl_module.outcomes, self.path, test["weights"], test["conditions"], keep=others
            )
        self._tested = [*others, test]
        complete = self._trained["incomplete"] is None and not any(one["incomplete"] for one in self._tested)
        deployed = earlier.get("deployed") if earlier else None
        self._write(trainer, pl_module, "finished" if complete else "partial", deployed=deployed)

    def _earlier(self) -> Record | None:
        """Return the record on disk if it is of the same training."""
        record = readable_record(self.path)
        return record if record and self._trained and _same(record["trained"], self._trained) else None

    # --- failure -----------------------------------------------------------------------------------------------------

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Record how the training ended, so that the run is not mistaken for a finished one."""
        if trainer.state.fn != "fit" or self._trained is None:
            return  # a `test` that fails leaves the record as it was; a `fit` that never started leaves none
        where = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        if isinstance(exception, KeyboardInterrupt | SystemExit):
            self._write(trainer, pl_module, "interrupted", failed_at=where)
            return
        if hasattr(exception, "epoch") and hasattr(exception, "step"):
            where = {"epoch": exception.epoch, "step": exception.step}
        lines = str(exception).strip().splitlines() or [""]
        error = f"{type(exception).__name__}: {lines[0]}"
        self._write(trainer, pl_module, "failed", error=error, failed_at=where)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        status: Status,
        error: str | None = None,
        failed_at: dict[str, int] | None = None,
        deployed: Deployed | None = None,
    ) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, BenchModule)
        assert self._trained is not None
        record: Record = {
            "status": status,
            "written_at": _now(),
            "error": error,
            "failed_at": failed_at,
            "trained": self._trained,
            "scores": [cast(ScoreFields, asdict(score)) for score in pl_module.declared_scores],
            "tested": self._tested,
        }
        if deployed is not None:  # of the same checkpoint: a further test changes nothing of it
            record["deployed"] = deployed
        write_record(record, self.path)


def _class_names(data: Any) -> list[str] | None:
    names = getattr(data, "class_names", None)
    return None if names is None else [str(name) for name in names]


def readable_record(path: Path) -> Record | None:
    """Return the record at ``path``; None, with a line on stderr, if what is there is none."""
    if not path.exists():
        return None
    try:
        return read_record(path)
    except UserError as error:
        print(f"set aside: {error}", file=sys.stderr, flush=True)
        return None


def _same(one: Trained, other: Trained) -> bool:
    return all(one[key] == other[key] for key in ("config_hash", "steps", "started_at"))


def _other_tests(tests: list[Tested], test: Tested) -> list[Tested]:
    return [t for t in tests if (t["weights"], t["conditions"]) != (test["weights"], test["conditions"])]
