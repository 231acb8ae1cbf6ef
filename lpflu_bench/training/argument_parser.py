"""The parser of a command that trains or tests."""

from typing import Any

from pytorch_lightning.cli import LightningArgumentParser

from lpflu_bench.errors import UserError
from lpflu_bench.training.config_errors import explain


class BenchArgumentParser(LightningArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Raise what the person at the terminal did wrong.

        Raises:
            UserError: always; from the parser of a nested class ValueError, which jsonargparse adds to its own message.
        """
        raise (UserError(explain(message, self)) if self.exit_on_error else ValueError(message)) from ex
