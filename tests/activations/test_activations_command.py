"""The public names and the table of functions, both without torch."""

import subprocess
import sys

import pytest

import lpflu_bench
from lpflu_bench.activations import registry
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.cli import main
from lpflu_bench.commands import activations  # noqa: F401


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_table_and_public_names_do_not_import_torch():
    code = (
        "import sys, lpflu_bench; from lpflu_bench.cli import main; status = main(['activations'])\n"
        "dir(lpflu_bench), lpflu_bench.list_activations()\n"
        "print(status, 'torch' in sys.modules)"
    )
    assert run_python(code).splitlines()[-1] == "0 False"


def test_public_names_are_importable():
    assert set(lpflu_bench.__all__) <= set(dir(lpflu_bench))
    for name in lpflu_bench.__all__:
        assert getattr(lpflu_bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lpflu_bench.nothing  # noqa: B018


def test_table_has_every_function(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["activations"]) == 0
    text = capsys.readouterr().out
    for name, entry in ENTRIES.items():
        assert f" {name} " in text
        assert entry.source in text
    assert "trained: mu: one per layer" in text
    assert "leaky_<name>" in text


def test_table_takes_a_pattern_and_shows_registered_names(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(registry, "_registered", {"my_elu": test_public_names_are_importable})
    assert main(["activations", "*elu"]) == 0
    text = capsys.readouterr().out
    assert "my_elu" in text
    assert "registered by test_activations_command" in text
    assert "hardswish" not in text


def test_no_match_is_one_line(capsys):
    assert main(["activations", "zzz*"]) == 2
    assert "no activation function matches 'zzz*'" in capsys.readouterr().err
