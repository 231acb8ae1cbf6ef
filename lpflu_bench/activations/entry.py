"""What the catalogue says of one activation function."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Entry:
    """One activation function.

    Attributes:
        name: Registry name.
        target: ``package.module:Class`` of its module.
        formula: In plain text; s is the logistic sigmoid, Phi the standard normal distribution function.
        parameters: Names and default values.
        trained: Which parameters train and their shape; empty if none does.
        train_eval: What differs between training and evaluation; empty if nothing does.
        source: Paper or documentation.
        group: "paper" if the LPFLU paper names it, "recent" if not.
        smooth_relu: Differentiable, 0 towards minus infinity and linear towards plus infinity: an S for Leaky(S).
    """

    name: str
    target: str
    formula: str
    parameters: str
    trained: str
    train_eval: str
    source: str
    group: Literal["paper", "recent"]
    smooth_relu: bool

    def load(self) -> type[Any]:
        """Import and return the module class."""
        return load(self.target)  # type: ignore[no-any-return]


def load(target: str) -> Any:
    """Import ``package.module:Class`` and return the class."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
