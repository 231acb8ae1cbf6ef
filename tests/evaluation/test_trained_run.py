"""What is no trained run is refused in one line that says what to do."""

import pytest
import torch

from lpflu_bench.errors import UserError
from lpflu_bench.evaluation.trained_run import find_runs, open_run


def checkpoint(folder):
    """A checkpoint as far as it is looked at before the record is."""
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"callbacks": {"RunRecord": {"trained": {}, "config": {}}}}, path)
    return path


def test_runs_are_found_at_and_below_a_folder(tmp_path):
    for name in ("b", "a/deep"):
        checkpoint(tmp_path / name)
    assert find_runs(tmp_path) == [tmp_path / "a" / "deep", tmp_path / "b"]
    assert find_runs(tmp_path / "b") == [tmp_path / "b"]


def test_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match="nothing is not a folder; name a run's folder"):
        find_runs(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"holds no trained run: there is no checkpoints/last\.ckpt"):
        find_runs(tmp_path)


def test_a_checkpoint_without_a_record(tmp_path):
    path = checkpoint(tmp_path)
    with pytest.raises(UserError) as error:
        open_run(tmp_path)
    assert str(error.value).startswith(f"{path} has no record: ")
    assert "run `lpflu-bench test` on that run first" in str(error.value)
