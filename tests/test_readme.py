"""The numbers in README.md and results/README.md are those of the files under results/."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def writer():
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_no_measured_number_is_typed(page):
    assert (ROOT / page).read_text(encoding="utf-8") == writer().filled(page), "run `python docs/readme.py`"
