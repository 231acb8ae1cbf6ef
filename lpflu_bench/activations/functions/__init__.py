"""The activation functions by family: of each the formula, the forms that kernels and exported graphs use, the module."""
