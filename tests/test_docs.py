"""The tutorials' files and commands work as they are printed."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(tutorial, tmp_path):
    blocks = BLOCK.findall(tutorial.read_text(encoding="utf-8"))
    assert any(language == "console" for language, _, _ in blocks)
    for language, title, text in blocks:
        if title:
            (tmp_path / title).write_text(text, encoding="utf-8")
        elif language == "console":
            for line in text.splitlines():
                program, *arguments = shlex.split(line.removeprefix("uv run "))
                assert program in ("lpflu-bench", "python"), line
                module = ["-m", "lpflu_bench.cli"] if program == "lpflu-bench" else []
                done = subprocess.run(
                    [sys.executable, *module, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600
                )
                assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_numbers_of_the_readme_are_those_of_the_results():
    readme = runpy.run_path(str(ROOT / "docs" / "readme.py"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme["filled"](text) == text, "run: python docs/readme.py"
    assert readme["filled"](text.replace("78.64 ± 0.58", "70.00 ± 0.58")) == text
