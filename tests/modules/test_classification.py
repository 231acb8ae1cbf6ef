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
