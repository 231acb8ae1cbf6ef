"""Anybody's function of a tensor as a module."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class FunctionActivation(nn.Module):
    """Any function of a tensor as a module, with fixed settings.

    Args:
        function: Takes the tensor first; a function of a module can be pickled, a lambda can't.
        **settings: Its keyword arguments.
    """

    def __init__(self, function: Callable[..., Tensor], **settings: Any) -> None:
        super().__init__()
        self.function = function
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(x, **self.settings)

    def extra_repr(self) -> str:
        """Show the function and its settings."""
        return ", ".join(
            [
                getattr(self.function, "__name__", repr(self.function)),
                *(f"{name}={value}" for name, value in self.settings.items()),
            ]
        )
