"""A network small enough for a test, with a residual block, a norm and every mechanism of the base module; data, a trainer."""

import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lpflu_bench.modules import ClassificationModule


class TinyModule(ClassificationModule):
    """resnet8 on whatever images come."""

    def __init__(self, **kwargs):
        kwargs.setdefault("network", "resnet8")
        kwargs.setdefault("num_classes", 4)
        super().__init__(**kwargs)


class TinyData(LightningDataModule):
    """``n`` random 8 x 8 images of four classes, the same ones in the same order every time."""

    def __init__(self, n=16, batch_size=4):
        super().__init__()
        self.batch_size = batch_size
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(n, 3, 8, 8, generator=generator)
        targets = torch.arange(n) % 4
        self.set = TensorDataset(images + targets[:, None, None, None] / 2, targets)
        self.num_classes, self.test_size = 4, n

    def train_dataloader(self):
        return DataLoader(self.set, batch_size=self.batch_size, drop_last=True)

    def val_dataloader(self):
        return DataLoader(self.set, batch_size=self.batch_size)

    test_dataloader = val_dataloader


def quiet_trainer(folder, **settings):
    """A trainer on the CPU that shows and keeps nothing, unless ``settings`` say so."""
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "default_root_dir": folder,
    }
    return Trainer(**quiet | settings)


def slopes(module: nn.Module) -> torch.Tensor:
    """Current slopes of all ema layers."""
    from lpflu_bench.activations.leaky import ema_layers

    return torch.stack([layer.slope for layer in ema_layers(module)])


def averages(module: nn.Module) -> torch.Tensor:
    """Averages of all ema layers."""
    from lpflu_bench.activations.leaky import ema_layers

    return torch.stack([layer.slope_average for layer in ema_layers(module)])
