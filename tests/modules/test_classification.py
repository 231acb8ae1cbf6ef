import pytest
import torch
from tiny import TinyData, TinyModule, quiet_trainer


def test_errors_are_those_of_a_hand_count(tmp_path):
    """14 images, 6 classes, batches of 4: an average over batches would weigh the last two images double."""
    module = TinyModule(num_classes=6)
    logits = torch.randn(14, 6, generator=torch.Generator().manual_seed(6))
    targets = torch.arange(14) % 6
    for start in range(0, 14, 4):
        module.stage_metric("test").update(logits[start : start + 4], targets[start : start + 4])
    scores = module.scores(module.stage_metric("test").compute())
    rank = (logits > logits.gather(1, targets[:, None])).sum(1)
    assert scores["top1_error"] == pytest.approx(100 * (rank >= 1).float().mean().item(), abs=1e-4)
    assert scores["top5_error"] == pytest.approx(100 * (rank >= 5).float().mean().item(), abs=1e-4)
    assert 0 < scores["top5_error"] < scores["top1_error"] < 100


def test_each_image_is_noted_as_right_at_the_first_and_among_the_first_five(monkeypatch):
    module, noted = TinyModule(num_classes=6), []
    logits = torch.randn(64, 6, generator=torch.Generator().manual_seed(6))
    targets = torch.arange(64) % 6
    monkeypatch.setattr(module, "forward", lambda _: logits)
    monkeypatch.setattr(module, "note_outcome", noted.append)
    module.test_step((torch.zeros(64, 3, 8, 8), targets), 0)
    rank = (logits > logits.gather(1, targets[:, None])).sum(1)
    assert noted == torch.stack([rank < 1, rank < 5], dim=1).tolist()


def test_test_logs_percent_and_counts_every_sample(tmp_path):
    module, data = TinyModule(), TinyData(n=14, batch_size=4)
    run = quiet_trainer(tmp_path)
    run.test(module, data, verbose=False)
    assert module.num_scored == 14
    images, targets = data.set.tensors
    module.eval()
    wrong = (module(images).argmax(1) != targets).float().mean().item()
    assert float(run.callback_metrics["test_top1_error"]) == pytest.approx(100 * wrong, abs=1e-3)
    assert float(run.callback_metrics["test_top5_error"]) == pytest.approx(
        0.0, abs=1e-4
    )  # 4 classes: all are in the top 5


def test_a_tiny_network_overfits_its_images(tmp_path):
    module = TinyModule(activation="lpflu", optimizer=lambda p: torch.optim.Adam(p, lr=0.01))
    run = quiet_trainer(tmp_path, max_epochs=30, limit_val_batches=0)
    run.fit(module, TinyData(n=16, batch_size=16))
    run.test(module, TinyData(n=16), verbose=False)
    assert float(run.callback_metrics["test_top1_error"]) <= 25.0


def test_channels_last_and_plain_agree():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 16, 16)
    plain, last = TinyModule(), TinyModule(channels_last=True)
    last.network.to(memory_format=torch.channels_last)
    assert last.to_memory_format(images).is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(plain.eval()(images), last.eval()(images), atol=1e-5)


def test_predictions_are_probabilities():
    probabilities = TinyModule().eval().predict_step((torch.randn(3, 3, 8, 8), torch.zeros(3)), 0)
    assert probabilities.shape == (3, 4)
    assert torch.allclose(probabilities.sum(1), torch.ones(3))


def test_label_smoothing_is_for_training_alone(tmp_path):
    images, targets = TinyData(n=8, batch_size=8).set.tensors
    plain, smooth = TinyModule(), TinyModule(label_smoothing=0.2)
    smooth.load_state_dict(plain.state_dict())
    losses = []
    for module in (plain, smooth):
        module.log_loss = lambda *_: None
        module.train()
        losses.append(module.training_step((images, targets), 0))
    logits = plain(images)
    expected = 0.8 * losses[0] + 0.2 * -logits.log_softmax(1).mean()
    torch.testing.assert_close(losses[1], expected)
    smooth.load_state_dict(plain.state_dict())  # the norms' averages went on
    for module in (plain, smooth):
        module.eval()
        module._score((images, targets), "test")
    scores = [module.scores(module.stage_metric("test").compute()) for module in (plain, smooth)]
    assert scores[0] == scores[1]


def test_targets_may_be_shares_of_the_classes():
    images, targets = TinyData(n=8, batch_size=8).set.tensors
    module = TinyModule()
    module.log_loss = lambda *_: None
    by_class = module.training_step((images, targets), 0)
    torch.testing.assert_close(module.training_step((images, torch.eye(4)[targets]), 0), by_class)
