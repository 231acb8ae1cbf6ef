import os

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.reports.beside import beside


def test_work_is_done_in_another_process_by_the_end_of_the_block(tmp_path):
    file = tmp_path / "pid"
    with beside(lambda: file.write_text(str(os.getpid()))):
        pass
    assert int(file.read_text()) != os.getpid()


def test_without_a_fork_it_is_done_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    file = tmp_path / "pid"
    with beside(lambda: file.write_text(str(os.getpid()))):
        assert not file.exists()
    assert int(file.read_text()) == os.getpid()


def test_what_the_work_refuses_is_raised_here(tmp_path):
    def full():
        raise UserError("no room")

    with pytest.raises(UserError, match="no room"), beside(full):
        (tmp_path / "body").touch()
    assert (tmp_path / "body").exists()


def test_what_the_body_raises_comes_first_and_the_work_is_done(tmp_path):
    with pytest.raises(ValueError, match="ours"), beside((tmp_path / "work").touch):
        raise ValueError("ours")
    assert (tmp_path / "work").exists()


def test_a_process_that_dies_is_not_taken_for_done():
    with pytest.raises(EOFError), beside(lambda: os._exit(1)):
        pass
