"""The tutorials' files and commands, and the design page's examples, work as printed. Each command is listed with its time.

Run by `.ci/run` beside the tests: `pytest -m slow tests/test_docs.py`. Commands run in this process, which saves their imports;
not so those of a tutorial with two ranks, as Lightning starts the second one by running the process's command line again.
"""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lpflu_bench.cli import main

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(program, *arguments, alone):
    """Return the exit status of a tutorial's command, run in a process of its own if ``alone``."""
    if program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
        return 0
    assert program == "lpflu-bench"
    if alone:
        return subprocess.run([sys.executable, "-m", "lpflu_bench.cli", *arguments], timeout=400).returncode
    return main(arguments)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(tutorial, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(tutorial.read_text(encoding="utf-8"))
    assert any(language == "console" for language, _, _ in blocks)
    alone = any("ddp" in text for _, _, text in blocks)
    for language, title, text in blocks:
        if title:
            (tmp_path / title).write_text(text, encoding="utf-8")
        elif language == "console":
            for line in text.splitlines():
                start = time.monotonic()
                status = run(*shlex.split(line.removeprefix("uv run ")), alone=alone)
                seconds = time.monotonic() - start
                said = capfd.readouterr()
                with capfd.disabled():
                    print(f"\n{seconds:6.1f} s  {tutorial.stem}: {line}", end="")
                assert status == 0, f"{line}\n{said.out[-2000:]}\n{said.err[-2000:]}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_design_s_examples_are_enough(tmp_path):
    """In a copy with all examples applied each of them does what it is for; nothing else was changed."""
    for folder in ("lpflu_bench", "tasks", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    diffs = sorted((ROOT / "docs" / "examples").glob("*.diff"))
    subprocess.run(["git", "apply", *diffs], cwd=tmp_path, check=True)
    subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "check.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=500,
    )
