import subprocess

import pytest

from lpflu_bench.environment import IMPORTED, MODIFIED, commit, source_hash


@pytest.fixture
def package(tmp_path):
    """A package in a checkout of its own, as committed."""
    folder = tmp_path / "some_package"
    folder.mkdir()
    (folder / "a.py").write_text("A = 1\n")
    (tmp_path / "README").write_text("r\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@e", "commit", "-qm", "m")
    return folder


def git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_hash_follows_the_sources_alone(package):
    before = source_hash(package)
    (package / "notes.txt").write_text("x")
    assert source_hash(package) == before
    (package / "a.py").write_text("A = 2\n")
    changed = source_hash(package)
    assert changed != before
    (package / "a.py").rename(package / "b.py")
    assert source_hash(package) not in (before, changed)
    assert len(IMPORTED) == 32


def test_a_clean_checkout_has_its_commit(package):
    assert commit(package, source_hash(package)) == git(package, "rev-parse", "HEAD")
    (package.parent / "README").write_text("other\n")  # not the package's
    assert commit(package, source_hash(package)) == git(package, "rev-parse", "HEAD")


@pytest.mark.parametrize("change", ["edited", "new file", "imported before the edit was undone"])
def test_anything_else_is_modified(package, change):
    imported = source_hash(package)
    if change == "edited":
        (package / "a.py").write_text("A = 2\n")
        imported = source_hash(package)
    elif change == "new file":
        (package / "b.py").write_text("")
        imported = source_hash(package)
    else:
        (package / "a.py").write_text("A = 2\n")
        imported = source_hash(package)
        (package / "a.py").write_text("A = 1\n")
    assert commit(package, imported) == MODIFIED


def test_a_folder_inside_somebody_else_s_repository_has_none(package):
    inner = package.parent / "vendor" / "lpflu_bench"
    inner.mkdir(parents=True)
    assert commit(inner, source_hash(inner)) is None
