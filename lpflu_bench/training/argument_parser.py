"""The parser of a command that trains or tests."""

import functools
import operator
from typing import Any, get_args

from pytorch_lightning.cli import LightningArgumentParser

from lpflu_bench.errors import UserError
from lpflu_bench.training.config_errors import explain


class BenchArgumentParser(LightningArgumentParser):
    """A parser whose errors are one line, and for which whole numbers stay whole."""

    def add_lightning_class_args(self, *args: Any, **options: Any) -> list[str]:
        """Add a class's arguments; where one may be int or float, int is tried first.

        For the trainer 1 is one batch and 1.0 is all of them. ``typing`` keeps ``Optional[Union[int, float]]`` and
        ``Optional[Union[float, int]]`` as one type, in the order of whichever library came first in the process.
        """
        added = super().add_lightning_class_args(*args, **options)
        for action in self._actions:
            kinds = get_args(getattr(action, "_typehint", None))
            if int in kinds and float in kinds:
                ordered = sorted(kinds, key=lambda kind: kind is not int)
                action._typehint = functools.reduce(operator.or_, ordered)  # type: ignore[attr-defined]
        return added

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Raise what the person at the terminal did wrong.

        Raises:
            UserError: always; from the parser of a nested class ValueError, which jsonargparse adds to its own message.
        """
        raise (UserError(explain(message, self)) if self.exit_on_error else ValueError(message)) from ex
