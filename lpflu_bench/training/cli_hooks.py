"""The private names of LightningCLI that the command line builds on, and nothing else.

Lightning may rename them in any release; a test looks for each by name (``tests/test_private_names.py``).
"""

from typing import Any

from pytorch_lightning.cli import LightningArgumentParser, LightningCLI


class HookedCLI(LightningCLI):
    """LightningCLI with public names for what a subclass has to change or ask."""

    def prepare_checkpoint(self) -> None:
        """Look at the parsed ``--ckpt_path``, before anything is built (Lightning lets the checkpoint override flags)."""
        super()._parse_ckpt_path()

    def trainer_arguments(self) -> dict[str, Any]:
        """Return further arguments for the trainer's function of this command."""
        return {}

    def seed(self) -> None:
        """Seed everything as configured."""
        super()._set_seed()

    def command_parser(self, command: str) -> LightningArgumentParser:
        """Return a command's own parser."""
        return self._parser(command)

    def built(self, key: str, default: Any = None) -> Any:
        """Return what was built for a key of the configuration."""
        return self._get(self.config_init, key, default)

    def _parse_ckpt_path(self) -> None:
        self.prepare_checkpoint()

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return {**super()._prepare_subcommand_kwargs(subcommand), **self.trainer_arguments()}

    def _set_seed(self) -> None:
        self.seed()
