"""An attack on the test images, as the LightningModule applies it."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.errors import UserError
from lpflu_bench.identity import conditions, config_hash
from lpflu_bench.modules import DetectionModule, SegmentationModule
from lpflu_bench.modules.attacks import Attack

MEAN, STD = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.25, 0.5]).view(3, 1, 1)


class Pictures(TinyData):
    """Pixels in 0..1, normalised."""

    mean, std = MEAN, STD

    def __init__(self, batch_size):
        super().__init__(n=12, batch_size=batch_size)
        images, targets = self.set.tensors
        self.set.tensors = ((images.sigmoid() - MEAN) / STD, targets)


def seen_in_test(module, batch_size, folder):
    """The last images that the network sees of each test batch: those that are scored."""
    seen = []
    hook = module.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    run = quiet_trainer(folder)
    run.test(module, datamodule=Pictures(batch_size), verbose=False)
    hook.remove()
    calls = len(seen) // (12 // batch_size)
    return torch.cat(seen[calls - 1 :: calls])


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
def test_the_network_is_scored_on_attacked_pixels(kind, tmp_path):
    attack = Attack(kind, radius=16, steps=3)
    module = TinyModule(test_attack=attack)
    seen = seen_in_test(module, 4, tmp_path) * STD + MEAN
    normalised, targets = Pictures(4).set.tensors
    clean = normalised * STD + MEAN

    def loss(pixels):
        return F.cross_entropy(module.eval()((pixels - MEAN) / STD), targets, reduction="sum")

    torch.testing.assert_close(seen, attack(clean, range(12), loss), rtol=0, atol=2e-6)
    assert (seen - clean).abs().max() <= 16 / 255 + 1e-5
    assert loss(seen) > loss(clean)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_attacked_set_does_not_depend_on_the_batch_size(tmp_path):
    module = TinyModule(test_attack=Attack("pgd", radius=16, steps=2))
    torch.testing.assert_close(seen_in_test(module, 4, tmp_path), seen_in_test(module, 6, tmp_path))


def test_only_the_test_is_attacked(tmp_path):
    module = TinyModule(test_attack=Attack("fgsm", radius=64))
    calls = []
    module.network.register_forward_pre_hook(lambda _, inputs: calls.append(1))
    quiet_trainer(tmp_path).validate(module, datamodule=Pictures(6), verbose=False)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda attack: DetectionModule(num_classes=1, reduced_tail=True, test_attack=attack),
        lambda attack: SegmentationModule(num_classes=2, test_attack=attack),
    ],
)
def test_a_task_that_it_is_not_defined_for(make):
    with pytest.raises(UserError, match=r"^model.test_attack: pgd is defined for classification, not for \w+$"):
        make(Attack("pgd"))


def test_it_is_a_condition_of_a_test_and_no_part_of_the_training():
    attack = {"kind": "fgsm", "radius": 2.0}
    trained = {"model": {"init_args": {"test_attack": None}}}
    tested = {"model": {"init_args": {"test_attack": attack}}}
    assert conditions(tested, trained) == {"model.test_attack": attack}
    assert config_hash(tested) == config_hash(trained)
