import pytest
import torch
from PIL import Image

from lpflu_bench.activations.plot import PRESETS, curve, draw
from lpflu_bench.cli import main
from lpflu_bench.errors import UserError


def test_curve_is_function_and_derivative():
    x, y, slope = curve("lpflu")
    middle = len(x) // 2
    assert x[middle] == 0
    assert y[middle] == 0
    assert float(slope[middle]) == pytest.approx((1 + 0.01) / 2, abs=1e-7)
    assert torch.allclose(torch.gradient(y, spacing=(x,))[0][1:-1], slope[1:-1], atol=1e-3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_drawn(preset, tmp_path):
    assert main(["activations", preset, "--plot", str(tmp_path / "new" / "x.png")]) == 0
    with Image.open(tmp_path / "new" / "x.png") as picture:
        assert picture.size == (1500, 630)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot write the picture"):
        draw(["relu"], tmp_path / "x.txt")
