"""Settings of the data modules on the command line."""

import pytest

from lpflu_bench.cli import main


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--data.jitter.hue", "0.9", "jitter.hue is 0.9: it must be in [0, 0.5]"),
        ("--data.train_noise.strength", "-1", "noise strength -1.0: >= 0 expected"),
        ("--data.val_fraction", "1", "data.val_fraction is 1: it must be at least 0 and below 1"),
        ("--data.batch_size", "5000", "set data.batch_size to at most 4000"),
    ],
)
def test_a_value_out_of_range_is_one_line(option, value, message, tmp_path, capsys):
    recipe = ["--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
    assert main(["fit", *recipe, "--run_dir", str(tmp_path / "run"), option, value]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert error[0].endswith(message)
