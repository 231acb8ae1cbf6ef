"""A network's training as CUDA graphs."""

import pytest
import torch
from pytorch_lightning import Trainer

from lpflu_bench.callbacks import SlopeEMA
from lpflu_bench.data import Shapes
from lpflu_bench.errors import UserError
from lpflu_bench.modules import ClassificationModule, DetectionModule
from lpflu_bench.modules.cuda_graph import capture_training, check_capturable


@pytest.mark.parametrize(
    ("device", "settings", "said"),
    [
        ("cpu", {}, "model.cuda_graph needs a GPU, and this run is on cpu"),
        ("cuda", {"compiled": True}, "model.cuda_graph and model.compile exclude each other"),
        ("cuda", {"accumulate_grad_batches": 2}, "model.cuda_graph can't accumulate gradients"),
    ],
)
def test_a_run_that_cannot_be_replayed_is_refused(device, settings, said):
    compiled = settings.pop("compiled", False)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, **settings)
    with pytest.raises(UserError, match=said):
        check_capturable(trainer, torch.device(device), compiled=compiled)


def test_a_fit_on_a_cpu_is_refused_before_its_first_step():
    module = ClassificationModule(network="resnet8", num_classes=10, cuda_graph=True)
    trainer = Trainer(accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, barebones=True)
    with pytest.raises(UserError, match="needs a GPU"):
        trainer.fit(module, Shapes(root="embedded"))


def test_detection_is_refused():
    with pytest.raises(UserError, match="detection can't be captured"):
        DetectionModule(num_classes=3, cuda_graph=True)


def _trained(precision, **settings):
    torch.manual_seed(0)
    module = ClassificationModule(
        network="resnet8",
        num_classes=10,
        activation="lpflu",
        optimizer=lambda p: torch.optim.SGD(p, lr=0.05),
        **settings,
    )
    data = Shapes(root="embedded", batch_size=32, seed=0, on_device=True)
    trainer = Trainer(
        accelerator="gpu",
        devices=1,
        precision=precision,
        max_steps=8,
        limit_val_batches=1,
        val_check_interval=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[SlopeEMA(seed=0)],
    )
    trainer.fit(module, data)
    return {name: value.float().cpu() for name, value in module.network.state_dict().items()}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_replayed_steps_train_as_eager_ones_do(precision):
    eager, replayed = _trained(precision), _trained(precision, cuda_graph=True)
    tolerance = 2e-3 if precision == "32-true" else 5e-2  # atomics and TF32
    for name, value in eager.items():
        torch.testing.assert_close(
            replayed[name], value, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_capture_leaves_everything_as_it_was():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout()).cuda()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    capture_training(network, torch.randn(8, 3, 9, 9, device="cuda"))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    images = torch.randn(8, 3, 9, 9, device="cuda")
    first, second = network(images).detach().clone(), network(images).detach().clone()
    assert not torch.equal(first, second), "dropout draws anew at each replay"
    network.eval()
    assert torch.equal(network(images), network(images))
