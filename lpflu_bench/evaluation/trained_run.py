"""A trained run's network and data, from its folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser

from lpflu_bench.callbacks.checkpoint import LAST
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.errors import UserError
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.record_files import read_record
from lpflu_bench.records import FILE_NAME, Record
from lpflu_bench.training.config_errors import explain
from lpflu_bench.training.output import quiet
from lpflu_bench.training.trained_config import CHECKPOINTS, trained_config


@dataclass(frozen=True)
class TrainedRun:
    """A run that was trained.

    Attributes:
        folder: of the run.
        record: as it is on disk.
        module: with the checkpoint's weights, in evaluation mode, on the CPU.
        data: loaded.
        digest: 16 hex digits of the checkpoint file.
    """

    folder: Path
    record: Record
    module: BenchModule
    data: BenchDataModule
    digest: str


def find_runs(path: Path) -> list[Path]:
    """Return the folders of the trained runs at or below a path, sorted.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; name a run's folder, or a folder of runs")
    found = sorted(checkpoint.parent.parent for checkpoint in path.rglob(f"{CHECKPOINTS}/{LAST}"))
    if not found:
        raise UserError(f"{path} holds no trained run: there is no {CHECKPOINTS}/{LAST} in or below it")
    return found


def open_run(folder: Path, data_settings: Mapping[str, Any] | None = None) -> TrainedRun:
    """Load a run's checkpoint, and its data.

    With weight averaging the weights are the averaged ones, which one would deploy.

    Args:
        folder: of the run: holds ``checkpoints/last.ckpt`` and ``record.json``.
        data_settings: of the data module, in place of those it was trained with: ``root``, ``test_batch_size``.

    Raises:
        UserError: something is missing or is not what it should be.
    """
    quiet()
    checkpoint = folder / CHECKPOINTS / LAST
    trained = trained_config(checkpoint)
    record_file = folder / FILE_NAME
    if not record_file.is_file():
        raise UserError(
            f"{checkpoint} has no record: {record_file} is missing; run `lpflu-bench test` on that run first"
        )
    data_config = trained["data"]
    settings = {**data_config["init_args"], **(data_settings or {})}
    model_settings = {**trained["model"]["init_args"], "compile": False, "channels_last": False}
    model_settings.pop("test_attack", None)
    config = {
        "model": {**trained["model"], "init_args": model_settings},
        "data": {**data_config, "init_args": settings},
    }
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(BenchModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    try:
        built = parser.instantiate_classes(parser.parse_object(config))
    except UserError:
        raise
    except Exception as error:  # jsonargparse's own; what a constructor raised is its cause
        cause = error.__cause__
        raise (
            cause if isinstance(cause, UserError) else UserError(f"{folder}: {explain(str(error), parser)}")
        ) from error
    module, data = built["model"], built["data"]
    try:
        module.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
    except RuntimeError as error:
        gist = " ".join(str(error).split())[:160]
        raise UserError(
            f"{checkpoint} does not fit the network that this version builds: {gist}; train it again"
        ) from error
    data.prepare_data()
    data.setup("test")
    digest = hashlib.blake2b(checkpoint.read_bytes(), digest_size=8).hexdigest()
    return TrainedRun(folder, read_record(record_file), module.eval(), data, digest)


def score(module: BenchModule, data: BenchDataModule) -> dict[str, float]:
    """Return the test scores of a module on the CPU, every image scored once.

    Raises:
        RuntimeError: another number of images was scored than the test set has.
    """
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.test(module, datamodule=data, verbose=False)
    if module.num_scored != data.test_size:
        raise RuntimeError(f"the test set has {data.test_size} samples, {module.num_scored} were scored")
    return {
        name.removeprefix("test_"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("test_")
    }
