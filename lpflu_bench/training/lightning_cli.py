"""``fit``, ``validate``, ``test`` and ``predict``: LightningCLI with its traps closed."""

import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from pytorch_lightning import Callback, LightningDataModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger

# Short class names in YAML (`class_path: ClassificationModule`) need the classes imported.
from lpflu_bench.activations.registry import activation_name
from lpflu_bench.callbacks.blend import Blend
from lpflu_bench.callbacks.checkpoint import LAST, AtomicCheckpointIO, last_checkpoint
from lpflu_bench.callbacks.diagnostics import Diagnostics
from lpflu_bench.callbacks.finite_loss import FiniteLoss, LossNotFiniteError
from lpflu_bench.callbacks.kernel_choice import KernelChoice
from lpflu_bench.callbacks.predictions import PredictionWriter
from lpflu_bench.callbacks.record import RunRecord, readable_record
from lpflu_bench.callbacks.slope_ema import SlopeEMA
from lpflu_bench.callbacks.step_seed import StepSeed
from lpflu_bench.callbacks.weight_ema import WeightEMA
from lpflu_bench.errors import UserError, one_line
from lpflu_bench.files import require_writable
from lpflu_bench.identity import config_hash
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.records import FILE_NAME
from lpflu_bench.terminal import next_command
from lpflu_bench.training.argument_parser import BenchArgumentParser
from lpflu_bench.training.arguments import prepare
from lpflu_bench.training.cli_hooks import HookedCLI
from lpflu_bench.training.cluster import own_processes
from lpflu_bench.training.interrupts import interrupts
from lpflu_bench.training.output import announcement, print_scores, quiet
from lpflu_bench.training.refusals import check_monitors, check_settings, construct, in_one_line, running
from lpflu_bench.training.run_folder import free_name, of_run_folder, remove_made
from lpflu_bench.training.trackers import continue_runs, end_runs, keep_runs, name_run, spare_warning
from lpflu_bench.training.trained_config import CHECKPOINTS, refuse_contradiction, trained_config
from lpflu_bench.user_code import search_current_folder

# Some of Lightning's defaults are enumerations of strings (Timer's `interval`), which YAML cannot represent.
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))


class BenchCLI(HookedCLI):
    """LightningCLI for the suite's modules.

    What differs from Lightning's: a checkpoint never overrides a flag, a contradiction is an error; ``test`` needs a
    checkpoint; every command has its own folder inside the run's, so that neither the saved configuration nor the metrics
    of ``fit`` are overwritten; callbacks are named top-level keys, which a later file merges instead of replacing a list.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._command = arguments[0]
        self.run_dir = Path()
        self.record: RunRecord | None = None
        self._made: list[Path] = []
        """Files and folders that were not there before this command."""
        try:
            with interrupts(), running():
                self._run_command(arguments)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(self._how_to_resume()) from interrupt
        except UserError:
            # What the optimizer or the schedule refuses, it refuses in the first step.
            if not hasattr(self, "trainer") or self.trainer.global_step <= 1:
                remove_made(self._made, self.run_dir)
            raise

    def _run_command(self, arguments: list[str]) -> None:
        super().__init__(
            model_class=BenchModule,
            datamodule_class=LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=BenchArgumentParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=True,
            trainer_defaults={
                "devices": 1,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "use_distributed_sampler": False,  # the data modules shard by rank themselves, without padding
            },
            args=arguments,
        )

    # --- arguments ---------------------------------------------------------------------------------------------------

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Name this command alone (a parser of all four takes four times as long) and the arguments it does not show."""
        skip = LightningCLI.subcommands()[self._command]
        return {self._command: skip | {"weights_only", "verbose", "return_predictions"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the suite's own keys."""
        parser.add_argument("--task", type=str, default="custom", help="The task's name in records and tables.")
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="The run's folder (default: runs/TASK/ACTIVATION-seedSEED).",
        )
        if self._command == "predict":
            parser.add_argument(
                "--format",
                type=Literal["table", "coco"],
                default="table",
                help="coco writes detections as results.json too, which pycocotools loads.",
            )
            parser.add_argument(
                "--score_threshold",
                type=float,
                default=0.0,
                help="Detections below it are left out of the table and the pictures.",
            )
        parser.add_lightning_class_args(WeightEMA, "weight_ema")
        parser.add_lightning_class_args(Diagnostics, "diagnostics")
        parser.add_lightning_class_args(Blend, "blend")

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return a parser that takes whole option names alone."""
        return super().init_parser(allow_abbrev=False, **kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, without the warning that ``sys.argv`` is there too."""
        try:
            self.config = parser.parse_args(args)
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"a file that a configuration names is not YAML in UTF-8: {one_line(error)}") from error

    def prepare_checkpoint(self) -> None:
        """Find the run's folder and the checkpoint, and refuse what contradicts it (Lightning would override flags)."""
        command = self.config.subcommand
        config = self.config[command]
        plain = self._plain_config()
        check_settings(command, plain)
        checkpoint = config.get("ckpt_path")
        self.run_dir = self._find_run_dir(plain, checkpoint)
        config["run_dir"] = str(self.run_dir)
        what = f"{plain['task']} {activation_name(plain['model']['init_args']['activation'])}"
        name_run(config.trainer.logger, f"{what} seed {plain['seed_everything']} {config_hash(plain)[:8]}")
        if checkpoint == "last":
            checkpoint = config["ckpt_path"] = str(self.run_dir / CHECKPOINTS / LAST)
        if checkpoint is None:
            if command != "fit":
                raise UserError(
                    f"`{command}` needs a trained run: `lpflu-bench {command} RUN_FOLDER`, or --ckpt_path; "
                    "refusing to evaluate untrained weights"
                )
            self._refuse_to_overwrite()
        else:
            trained = trained_config(checkpoint)
            refuse_contradiction(command, plain, trained, checkpoint)
            continue_runs(config.trainer.logger, (trained.get("trainer") or {}).get("logger"))
        require_writable(self.run_dir, "--run_dir")

    def _plain_config(self) -> dict[str, Any]:
        command = self.config.subcommand
        dumped = yaml.safe_load(
            self.command_parser(command).dump(self.config[command], skip_none=False, skip_validation=True)
        )
        return dict(dumped)

    def _find_run_dir(self, config: Mapping[str, Any], checkpoint: str | None) -> Path:
        if config["run_dir"]:
            return Path(str(config["run_dir"]))
        if checkpoint is not None and checkpoint != "last" and Path(checkpoint).parent.name == CHECKPOINTS:
            return Path(checkpoint).parent.parent
        name = activation_name(config["model"]["init_args"]["activation"])
        return Path("runs") / str(config["task"]) / f"{name}-seed{config['seed_everything']}"

    def _refuse_to_overwrite(self) -> None:
        if int(os.environ.get("LOCAL_RANK", 0)) > 0:
            return  # started by rank 0, which has looked and may already have written
        checkpoint = self.run_dir / CHECKPOINTS / LAST
        record = readable_record(self.run_dir / FILE_NAME)
        if checkpoint.exists() or (record is not None and record["tested"]):
            raise UserError(
                f"{self.run_dir} already holds a run: resume it (--ckpt_path last), or name another --run_dir"
            )

    def before_instantiate_classes(self) -> None:
        """Let what a constructor refuses be one line."""
        self.parser.add_instantiator(construct, object, subclasses=True)

    def instantiate_classes(self) -> None:
        """Build what the configuration names; of jsonargparse's account of a refusal, its cause alone is kept."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, UserError):
                cause = cause.__cause__
            if cause is None:
                raise
            raise UserError(str(cause)) from error

    # --- building ----------------------------------------------------------------------------------------------------

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the suite's callbacks, logger and checkpoints."""
        command = str(self.subcommand)
        settings: dict[str, Any] = {**self.built("trainer", {}), **kwargs}
        folder = self.run_dir / free_name(self.run_dir, command)
        config = self._plain_config()
        self.record = RunRecord(self.run_dir, task=config["task"], config=config)
        callbacks: list[Callback] = [StepSeed(), KernelChoice(), SlopeEMA()]
        weight_ema = self.built("weight_ema")
        if weight_ema.decay is not None:
            callbacks.append(weight_ema)  # after SlopeEMA: it copies the slopes' averages
        callbacks += [
            self.built("diagnostics"),
            self.built("blend"),
            FiniteLoss(),
            self.record,
            last_checkpoint(self.run_dir / CHECKPOINTS),
        ]
        if command == "predict":
            callbacks.append(PredictionWriter(folder, form=config["format"], score_threshold=config["score_threshold"]))
        settings["callbacks"] = [*(settings.get("callbacks") or []), *callbacks]
        processes = own_processes(settings.get("devices"), int(settings.get("num_nodes") or 1))
        settings["plugins"] = [*(settings.get("plugins") or []), AtomicCheckpointIO(), *processes]
        settings["default_root_dir"] = settings.get("default_root_dir") or str(self.run_dir)
        given = settings.get("logger")
        trackers = given if isinstance(given, list) else [given] if given not in (None, True, False) else []
        spare_warning(trackers)
        if given is not False:
            settings["logger"] = [CSVLogger(self.run_dir, name="", version=folder.name), *trackers]
        with in_one_line("trainer"):
            trainer = self.trainer_class(**settings)
        if trainer.is_global_zero and trackers and config["ckpt_path"] is None:  # a resumed run has its settings
            with in_one_line("trainer.logger"):
                for tracker in trackers:
                    tracker.log_hyperparams(config)
            keep_runs(config["trainer"]["logger"], trackers)
        asked = str(settings.get("precision"))
        if asked in ("16", "16-mixed") and trainer.precision != "16-mixed":
            raise UserError(
                f"--trainer.precision {asked} is not supported on this device, Lightning would run "
                f"{trainer.precision} in its place; "
                f"pass --trainer.precision {trainer.precision}, or run on a GPU"
            )
        if command == "fit":
            check_monitors(settings["callbacks"], self.model.schedule, self.model.logged_scores)
        if trainer.is_global_zero:
            self._made = [p for p in (folder, self.record.path, *self.run_dir.parents, self.run_dir) if not p.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return trainer

    def trainer_arguments(self) -> dict[str, Any]:
        """Load plain weights alone from a checkpoint."""
        return {"weights_only": True}

    def _how_to_resume(self) -> str:
        if self._command != "fit":
            return "give the same command again"
        if (self.run_dir / CHECKPOINTS / LAST).exists():
            return f"to resume, give the same command with --run_dir {self.run_dir} --ckpt_path last"
        return "before the first checkpoint; give the same command again"

    # --- running -----------------------------------------------------------------------------------------------------

    def before_fit(self) -> None:
        """Say what will be trained."""
        self._announce("training")

    def after_fit(self) -> None:
        """Say what there is now."""
        assert self.record is not None
        trained = self.record.trained
        end = "trained" if trained["incomplete"] is None else f"not trained in full ({trained['incomplete']})"
        checkpoint = self.run_dir / CHECKPOINTS / LAST
        kept = (
            f"checkpoint {checkpoint}" if checkpoint.exists() else "no checkpoint was written, there is nothing to test"
        )
        self._say(f"{end}; {kept}; record {self.record.path}")
        if checkpoint.exists():
            self._say(next_command("test", self.run_dir))

    def test(self, **kwargs: Any) -> None:
        """Score the checkpoint; with weight averaging in it, the raw weights and the averaged ones."""
        assert self.record is not None
        self._announce("testing")
        raw = torch.load(kwargs["ckpt_path"], map_location="cpu", weights_only=True, mmap=True).get(
            "current_model_state"
        )
        if raw is not None:
            self.record.scored_weights = "averaged"
        self.trainer.test(**kwargs, verbose=False)
        scores = {"averaged weights" if raw is not None else "": dict(self.trainer.callback_metrics)}
        if raw is not None:
            self.record.scored_weights = "raw"
            self.model.load_state_dict(raw)
            self.trainer.test(**{**kwargs, "ckpt_path": None}, verbose=False)
            scores["raw weights"] = dict(self.trainer.callback_metrics)
        for weights, values in scores.items():
            self._print_scores(values, weights)
        self._say(f"record {self.record.path}")
        self._say(next_command("report", self.run_dir.parent))

    def validate(self, **kwargs: Any) -> None:
        """Score the checkpoint on the validation set."""
        self._announce("validating")
        self.trainer.validate(**kwargs, verbose=False)
        self._print_scores(dict(self.trainer.callback_metrics), "")
        self._say(next_command("test", self.run_dir))

    def predict(self, **kwargs: Any) -> None:
        """Write what the checkpoint says of the test set: a table, and pictures where the task has them."""
        self._announce("predicting with")
        self.trainer.predict(**kwargs, return_predictions=False)
        self._say(f"predictions in {self.trainer.log_dir}")
        self._say(next_command("deploy", self.run_dir))

    def _announce(self, verb: str) -> None:
        for line in announcement(self.model, verb, self.run_dir):
            self._say(line)

    def _print_scores(self, values: Mapping[str, Any], weights: str) -> None:
        if self.trainer.is_global_zero:
            print_scores(self.model, values, weights)

    def _say(self, line: str) -> None:
        if self.trainer.is_global_zero:
            print(line, flush=True)


def run(arguments: list[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` with the given arguments and return the exit status."""
    quiet()
    search_current_folder()
    sys.argv[0] = "lpflu-bench" if not sys.argv else sys.argv[0]
    try:
        with of_run_folder(arguments) as options:
            BenchCLI([options[0], *prepare(options[1:])])
    except LossNotFiniteError as error:
        raise UserError(str(error)) from error
    finally:
        end_runs()
    return 0
