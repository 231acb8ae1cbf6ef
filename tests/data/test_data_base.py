"""The base data module inside a real trainer: epochs, resuming, ranks, bad settings."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.utils.data import TensorDataset

from lpflu_bench.data import BenchDataModule
from lpflu_bench.errors import UserError


class Numbers(BenchDataModule):
    """The numbers 0 ... 10; training adds a random fraction."""

    def load(self):
        self.class_names = ["a", "b"]
        self.train_set = self.val_set = self.test_set = TensorDataset(torch.arange(11).float())

    def augment_batch(self, batch):
        return [batch[0] + torch.rand(len(batch[0])) / 2]

    def prepare_batch(self, batch):
        return [batch[0] * 100]


class Watcher(LightningModule):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated, self.tested = [], [], []

    def training_step(self, batch, batch_idx):
        torch.rand(1)
        self.seen.append(batch[0])
        return self.weight

    def validation_step(self, batch, batch_idx):
        torch.rand(1)
        self.validated.append(batch[0])

    def test_step(self, batch, batch_idx):
        self.tested.append(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, epochs, ckpt=None, validate=False, **settings):
    module = Watcher()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=2 if validate else 0,
        limit_val_batches=1.0 if validate else 0,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, Numbers(**{"batch_size": 4, "seed": 5, **settings}), ckpt_path=ckpt)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    return torch.stack(module.seen), module, trainer


def test_each_epoch_has_its_own_order_and_drops_the_partial_batch(tmp_path):
    seen, _, _ = fit(tmp_path, 3)
    assert seen.shape == (3 * 2, 4)
    numbers = seen.div(100).floor().view(3, 8)
    assert all(len(set(epoch.tolist())) == 8 for epoch in numbers)
    assert len({tuple(epoch.tolist()) for epoch in numbers}) == 3


def test_augmentation_is_new_in_each_batch_and_for_each_seed(tmp_path):
    fractions = torch.cat([fit(tmp_path, 3)[0], fit(tmp_path, 1, seed=6)[0]]).flatten() / 100 % 1
    assert len(fractions.unique()) > 0.9 * len(fractions)
    assert (fractions > 0).any()


def test_resumed_run_sees_what_the_uninterrupted_one_sees(tmp_path):
    whole, _, _ = fit(tmp_path, 4)
    first, _, _ = fit(tmp_path, 2)
    second, _, _ = fit(tmp_path, 4, ckpt=tmp_path / "end.ckpt")
    assert torch.equal(torch.cat([first, second]), whole)


def test_validating_changes_nothing_in_training(tmp_path):
    assert torch.equal(fit(tmp_path, 2, validate=True)[0], fit(tmp_path, 2)[0])


def test_augmentation_leaves_the_global_generator_alone(tmp_path):
    torch.manual_seed(0)
    fit(tmp_path, 2)
    with_augmentation = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(2 * 2)  # the module's own draws, one for each step
    assert torch.equal(with_augmentation, torch.rand(1))


def test_evaluation_is_whole_in_order_and_not_augmented(tmp_path):
    _, module, trainer = fit(tmp_path, 1, validate=True, test_batch_size=3)
    trainer.test(module, Numbers(batch_size=4), verbose=False)
    assert torch.cat(module.tested).tolist() == [100.0 * number for number in range(11)]
    assert torch.cat(module.validated)[-11:].tolist() == [100.0 * number for number in range(11)]


def test_workers_give_the_same_batches():
    batches = []
    for workers in (0, 1):
        data = Numbers(batch_size=4, seed=5, num_workers=workers)
        data.setup("fit")
        batches.append([batch[0].tolist() for batch in data.train_dataloader()])
    assert batches[0] == batches[1]


def test_seed_is_the_runs_by_default(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert Numbers().seed == 17
    assert Numbers(seed=3).seed == 3


def test_batch_larger_than_the_training_set():
    data = Numbers(batch_size=12)
    data.setup("test")
    with pytest.raises(
        UserError, match=r"data\.batch_size.* takes 12 images but the training set has 11; .* at most 11"
    ):
        data.setup("fit")


def test_batch_size_must_be_positive():
    with pytest.raises(UserError, match="test_batch_size is 0"):
        Numbers(test_batch_size=0)


def test_root_missing(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        Numbers(root=str(tmp_path / "nowhere")).root_folder()
    with pytest.raises(UserError, match=r"data\.root isn't given"):
        Numbers().root_folder()
