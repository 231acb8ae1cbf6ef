"""Two ranks score every scene once; both are started once, on the CPU with gloo."""

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning import seed_everything
from tiny import quiet_trainer
from two_ranks import on_two_ranks

from lpflu_bench.data import Cityscapes
from lpflu_bench.data.synthetic_cityscapes import draw_scene
from lpflu_bench.modules import SegmentationModule

TEST_SCENES = 5  # odd: one rank has one more


def scores(root, **settings):
    """Test an untrained network; return what this rank saw."""
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    trainer = quiet_trainer(root, **settings)
    module = SegmentationModule(num_classes=20, encoder_name="resnet18", other_class=19, activation="lpflu")
    data = Cityscapes(root=str(root), size=(32, 64), crop_size=None, batch_size=1, test_batch_size=2)
    seen = []
    for run, stage in ((trainer.validate, "val"), (trainer.test, "test")):
        run(module, data, verbose=False)
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(stage)}
        seen.append((module.num_scored, values))
    return seen


@pytest.mark.slow
def test_every_scene_is_scored_once_and_the_scores_are_one_process_s(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 1), ("val", TEST_SCENES)):
        folders = [tmp_path / part / split / "town" for part in ("leftImg8bit", "gtFine")]
        for folder in folders:
            folder.mkdir(parents=True)
        for i in range(count):
            for folder, name, pixels in zip(folders, ("leftImg8bit", "gtFine_labelIds"), draw_scene(rng), strict=True):
                Image.fromarray(pixels).save(folder / f"town_{i:06d}_{name}.png")
    alone = scores(tmp_path, devices=1)
    ranks = on_two_ranks(scores, tmp_path)
    for stage, name in enumerate(("val", "test")):
        count, values = alone[stage]
        assert count == TEST_SCENES
        assert {f"{name}_miou", f"{name}_miou_19", f"{name}_miou_official", f"{name}_pixel_accuracy"} <= values.keys()
        for rank in (0, 1):
            assert ranks[rank][stage][0] == TEST_SCENES, ranks
            assert ranks[rank][stage][1] == pytest.approx(values, abs=1e-6)
