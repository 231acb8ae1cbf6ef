"""What two ranks have to agree on; both are started once, on the CPU with gloo."""

import pytest
import torch
from pytorch_lightning import seed_everything
from tiny import TinyModule, averages, quiet_trainer, slopes
from two_ranks import on_two_ranks

from lpflu_bench.callbacks import SlopeEMA
from lpflu_bench.data import Shapes
from lpflu_bench.data.classification import ImageSplits

TEST_IMAGES = 37  # odd: one rank has one more


class FewShapes(Shapes):
    """The embedded shapes with 24 training images and an odd number of test images."""

    def read_embedded(self):
        whole = super().read_embedded()
        return ImageSplits(
            whole.train.subset(torch.arange(24)), whole.test.subset(torch.arange(TEST_IMAGES)), whole.class_names
        )


class Watch(SlopeEMA):
    """SlopeEMA that notes what it drew."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self.drawn.append(slopes(pl_module).tolist())


def train_and_test(folder, **settings):
    """Train two steps, test; return what a rank saw."""
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    watch = Watch()
    trainer = quiet_trainer(
        folder, max_epochs=1, limit_train_batches=2, limit_val_batches=0, callbacks=[watch], **settings
    )
    module = TinyModule(activation="lpflu", num_classes=10)
    data = FewShapes(root="embedded", batch_size=4, test_batch_size=5, augmentation="none")
    before = module.state_dict()["network.conv1.weight"].clone()
    trainer.test(module, data, verbose=False)
    scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
    scored = module.num_scored
    trainer.fit(module, data)
    return {
        "scores": scores,
        "scored": scored,
        "drawn": watch.drawn,
        "averages": averages(module).tolist(),
        "start": before.sum().item(),
        "end": module.state_dict()["network.conv1.weight"].sum().item(),
    }


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the two ranks saw."""
    folder = str(tmp_path_factory.mktemp("ddp"))
    train_and_test(folder)  # draws the embedded images before two processes would
    got = on_two_ranks(train_and_test, folder)
    assert all(isinstance(seen, dict) for seen in got.values()), got
    return got


def test_slopes_are_equal_on_both_ranks_and_those_of_one_process(ranks, tmp_path):
    assert ranks[0]["drawn"] == ranks[1]["drawn"]
    assert ranks[0]["averages"] == ranks[1]["averages"]
    assert len(ranks[0]["drawn"]) == 2
    assert ranks[0]["drawn"] == train_and_test(str(tmp_path))["drawn"]


def test_weights_stay_equal(ranks):
    assert ranks[0]["start"] == ranks[1]["start"]
    assert ranks[0]["end"] == ranks[1]["end"]
    assert ranks[0]["end"] != ranks[0]["start"]


def test_every_test_sample_is_scored_once_and_the_scores_are_one_process_s(ranks, tmp_path):
    alone = train_and_test(str(tmp_path))
    assert alone["scored"] == TEST_IMAGES
    for rank in (0, 1):
        assert ranks[rank]["scored"] == TEST_IMAGES
        assert ranks[rank]["scores"] == pytest.approx(alone["scores"], abs=1e-6)
