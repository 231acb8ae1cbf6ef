"""Lightning's logger interface for trackio, which has none of its own."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger


class TrackioLogger(Logger):
    """Logs to trackio: to this machine, or to a Space.

    Args:
        project: of the runs.
        name: of the run; trackio's own choice by default.
        space_id: of a Hugging Face Space; None for this machine.

    Raises:
        ModuleNotFoundError: trackio is not installed.
    """

    def __init__(self, project: str = "lpflu-bench", name: str | None = None, space_id: str | None = None) -> None:
        super().__init__()
        import trackio

        self._trackio = trackio
        self._project, self._name, self._space_id = project, name, space_id
        self._settings: dict[str, Any] = {}
        self._run: Any = None

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str | None:
        """The run."""
        return self._name

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Trackio's run; started when first asked for."""
        if self._run is None:
            self._run = self._trackio.init(
                project=self._project,
                name=self._name,
                space_id=self._space_id,
                config=self._settings,
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return self._run

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Keep the settings for the run's configuration."""
        self._settings.update(vars(params) if isinstance(params, Namespace) else params)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log scores."""
        self.experiment.log(metrics, step=step)

    @rank_zero_only
    def log_file(self, path: Path) -> None:
        """Keep a file with the run's artifacts."""
        _ = self.experiment  # an artifact belongs to a run
        self._trackio.log_artifact(path, name=path.name.replace(".", "-"), type="report")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None
