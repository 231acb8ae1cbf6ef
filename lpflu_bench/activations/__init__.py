"""Activation functions: formulas, modules, the general Leaky form, the registry, and placement in built networks.

Importing this package does not import torch; the modules in it do.
"""

from lpflu_bench.activations.registry import (
    UnknownActivationError,
    create_activation,
    list_activations,
    register_activation,
)

__all__ = ["UnknownActivationError", "create_activation", "list_activations", "register_activation"]
