import numpy as np
import pytest

from lpflu_bench.inference.ranks import average_ranks
from lpflu_bench.reports.rank_figure import critical_differences


@pytest.mark.parametrize("names", [["relu", "mish", "lpflu"], [f"a_function_of_a_long_name_{i}" for i in range(11)]])
@pytest.mark.parametrize("noise", [0.1, 10.0])
def test_everything_that_is_written_is_within_the_figure(names, noise):
    rng = np.random.default_rng(0)
    scores = rng.normal(np.arange(len(names)), noise, (20, len(names)))
    figure = critical_differences(average_ranks(scores, names, [True] * 20)).figure
    width, height = figure.bbox.size
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) >= 2 * len(names)
    assert min(box.x0 for box in boxes) >= 0 <= min(box.y0 for box in boxes)
    assert max(box.x1 for box in boxes) <= width
    assert max(box.y1 for box in boxes) <= height
