"""Every public function and module has an example in its docstring that runs and prints what it says."""

import doctest
import inspect

import pytest
import torch

from lpflu_bench import functional, nn

PUBLIC = {f"{module.__name__}.{name}": value for module in (functional, nn) for name, value in vars(module).items()}
PUBLIC = {path: value for path, value in PUBLIC.items() if callable(value)}


def test_all_are_there():
    assert len(PUBLIC) > 90


@pytest.mark.parametrize("path", PUBLIC)
def test_example_runs(path):
    name = path.rpartition(".")[2]
    parser = doctest.DocTestParser()
    example = parser.get_doctest(inspect.getdoc(PUBLIC[path]), {"torch": torch, name: PUBLIC[path]}, path, None, None)
    assert example.examples, f"{path} has no example"
    assert doctest.DocTestRunner().run(example).failed == 0
