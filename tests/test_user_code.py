"""Files of the user's own, by dotted path from the current folder and by file name."""

import subprocess
import sys

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.user_code import import_object, is_import_path, object_name

FUNCTIONS = """
import beside
from dataclasses import dataclass

@dataclass
class Bent:
    power: float = beside.POWER
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beside.py").write_text("POWER = 2.5\n")
    (tmp_path / "bent_functions.py").write_text(FUNCTIONS)
    return tmp_path


def python(code, cwd):
    return subprocess.run(
        # -P: nothing but the code itself puts the current folder on the path
        [sys.executable, "-P", "-c", f"from lpflu_bench.user_code import import_object\n{code}"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["bent_functions.Bent", "bent_functions.py:Bent", "../{name}/bent_functions.py:Bent"])
def test_found_without_pythonpath(folder, path):
    done = python(f"print(import_object({path.format(name=folder.name)!r})().power)", folder)
    assert done.stdout == "2.5\n", done.stderr


def test_a_file_in_another_folder_is_executed_once(folder):
    bent = import_object(f"{folder}/bent_functions.py:Bent")
    assert bent is import_object(f"{folder}/../{folder.name}/bent_functions.py:Bent")
    assert sys.modules[bent.__module__].__file__ == str(folder / "bent_functions.py")


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("{}/nowhere.py:Bent", "", "there is no file .*nowhere.py"),
        ("{}/x.py:Bend", "class Bent: pass", "has no 'Bend'; the nearest is Bent"),
        ("{}/x.txt:Bent", "", "write FILE.py:NAME or package.module.NAME"),
        *(
            (path, "", f"write FILE.py:NAME or package.module.NAME, not '{path}'")
            for path in (":", ".", "torch.", ".Bent", "a..b", "x:Bent")
        ),
        *(
            (
                "{}/x.py" + end,
                "class Bent: pass\ndef _own(): 1 / 0",
                r"which class .* write .*x.py:NAME; it defines Bent$",
            )
            for end in ("", ":")
        ),
        ("{}/x.py", "def (:", "which class .* write .*x.py:NAME$"),
        ("{}/nowhere.py", "", "there is no file .*nowhere.py"),
        ("os.path", "", r"which class or function of it\? write os.path.NAME"),
        ("nowhere_at_all.Bent", "", "there is no module 'nowhere_at_all'"),
        ("{}/x.py:Bent", "def (:", r"importing .*x.py fails: SyntaxError: .* \(.*x.py, line 1\)"),
        ("{}/x.py:Bent", "\n1 / 0", r"importing .*x.py fails: ZeroDivisionError: .* \(.*x.py, line 2\)"),
        ("{}/x.py:Bent", "import nothing_like_this", r"ModuleNotFoundError: .*'nothing_like_this' \(.*x.py, line 1\)"),
    ],
)
def test_one_line_for_what_cannot_be_imported(tmp_path, path, text, problem):
    (tmp_path / "x.py").write_text(text)
    with pytest.raises(UserError, match=problem) as error:
        import_object(path.format(tmp_path))
    assert "\n" not in str(error.value)


def test_a_file_that_failed_can_be_corrected(tmp_path):
    file = tmp_path / "corrected.py"
    file.write_text("1 / 0")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        import_object(f"{file}:Bent")
    file.write_text("class Bent: pass\n")
    assert import_object(f"{file}:Bent").__name__ == "Bent"


def test_names():
    assert [is_import_path(name) for name in ("lpflu", "a.B", "a.py:B")] == [False, True, True]
    assert [object_name(path) for path in ("a.b.C", "f/a.py:C", "lpflu")] == ["C", "C", "lpflu"]
