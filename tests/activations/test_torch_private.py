"""The names of PyTorch that are not public: a new version that lacks one fails here, by name."""

import importlib
import re
from pathlib import Path

import pytest

import lpflu_bench
from lpflu_bench.activations.torch_private import PRIVATE_NAMES


def find(name: str) -> object:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_pytorch_has_the_private_name(name):
    find(name)


def test_a_name_that_disappeared_is_found_out():
    with pytest.raises(AttributeError, match="no_such_name"):
        find("torch._C.no_such_name")


def test_no_other_module_uses_private_names():
    folder = Path(lpflu_bench.__file__).parent
    private = re.compile(r"\btorch\._(?!_)\w+|\bforward_ad\._\w+|from torch\._\w+")
    files = [file for part in ("activations", "speed") for file in (folder / part).rglob("*.py")]
    assert {file.name for file in files if private.search(file.read_text())} <= {"torch_private.py", "trace.py"}
