from pathlib import Path

import pytest

from lpflu_bench import paths
from lpflu_bench.errors import UserError


def test_the_current_folder_comes_before_the_clone(tmp_path, monkeypatch):
    clone = Path(paths.__file__).parents[1]
    monkeypatch.chdir(tmp_path)
    assert paths.resource_path("results/published") == clone / "results/published"
    (tmp_path / "results/published").mkdir(parents=True)
    assert paths.resource_path("results/published") == tmp_path / "results/published"


def test_an_installed_package_looks_inside_itself_and_not_beside_itself(tmp_path, monkeypatch):
    package = tmp_path / "site-packages/lpflu_bench"
    (package / "shipped/tasks").mkdir(parents=True)
    (tmp_path / "site-packages/tasks").mkdir()  # somebody else's
    monkeypatch.setattr(paths, "_PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert paths.resource_path("tasks") == package / "shipped/tasks"


def test_what_is_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"tasks/nothing does not exist: looked in "):
        paths.resource_path("tasks/nothing")
