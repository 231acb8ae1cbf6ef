"""Two ranks score every image once, and to the numbers of one process; both are started once, on the CPU with gloo."""

from itertools import zip_longest

import pytest
import torch
from pytorch_lightning import seed_everything
from tiny import quiet_trainer
from two_ranks import on_two_ranks

from lpflu_bench.data import VOC
from lpflu_bench.modules import DetectionModule

TEST_IMAGES = 5  # odd: one rank has one more


class FewImages(VOC):
    """The embedded set with an odd number of test images."""

    def _read(self):
        parts = super()._read()
        return {"training": parts["training"][:4], "test": parts["test"][:TEST_IMAGES]}


class Finds(DetectionModule):
    """Its detections are the true boxes, moved and scored by the image's content: a score that images tie in."""

    def forward(self, images, targets=None):
        if self.network.training:  # the validation loss is asked for
            return {"loss": images.mean()}
        found = []
        for image in images:
            shift = 8 * image.mean()
            box = torch.stack([shift, shift, shift + 30, shift + 40])
            boxes = torch.cat([box[None], box[None] + 10, box[None] + 20])
            found.append({"boxes": boxes, "scores": torch.tensor([0.5, 0.5, 0.5]), "labels": torch.tensor([1, 2, 3])})
        return found


def scores(folder, module_class, **settings):
    """Test an untrained network; return what this rank saw."""
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    trainer = quiet_trainer(folder, **settings)
    module = module_class(num_classes=3, reduced_tail=True, activation="lpflu", per_class=True)
    classes = ["circle", "square", "triangle"]
    data = FewImages(root="embedded", classes=classes, image_size=64, batch_size=1, test_batch_size=2)
    seen = []
    for run, stage in ((trainer.validate, "val"), (trainer.test, "test")):
        run(module, data, verbose=False)
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(stage)}
        seen.append((module.num_scored, values))
    return seen


def test_two_ranks_score_every_image_once(tmp_path):
    folder = str(tmp_path)
    alone = scores(folder, Finds)  # draws the embedded images before two processes would
    assert [scored for scored, _ in alone] == [TEST_IMAGES, TEST_IMAGES]
    assert alone[1][1]["test_map_50"] > 0
    got = on_two_ranks(scores, folder, Finds)
    assert all(isinstance(seen, list) for seen in got.values()), got
    for rank in (0, 1):
        for (scored, values), (expected_scored, expected) in zip_longest(got[rank], alone):
            assert scored == expected_scored
            assert values == pytest.approx(expected, abs=1e-6)
