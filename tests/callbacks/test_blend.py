import pytest
import torch
from pytorch_lightning import Callback
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.activations.blend import blend
from lpflu_bench.callbacks.blend import Blend
from lpflu_bench.errors import UserError


def test_the_share_goes_from_the_old_function_to_the_new():
    module = TinyModule(activation="gelu").eval()
    old = TinyModule(activation="relu").eval()
    old.load_state_dict(module.state_dict())
    images = torch.randn(2, 3, 8, 8)
    new = module(images)
    share = torch.zeros(())
    handles = blend(module.network, module.placement, share)
    assert torch.equal(module(images), old(images))
    assert not torch.equal(new, old(images))
    share.fill_(1.0)
    assert torch.allclose(module(images), new)
    for handle in handles:
        handle.remove()
    assert torch.equal(module(images), new)


class Shares(Callback):
    def __init__(self, blend):
        self.blend, self.seen = blend, []

    def on_train_batch_end(self, *_):
        self.seen.append((self.blend._share.item(), len(self.blend._handles)))


def test_it_ends_after_its_steps_and_leaves_nothing(tmp_path):
    callback = Blend(steps=4)
    shares = Shares(callback)
    module = TinyModule(activation="gelu")
    keys = module.state_dict().keys()
    trainer = quiet_trainer(tmp_path, max_steps=6, limit_val_batches=0, callbacks=[callback, shares])
    trainer.fit(module, TinyData(n=24, batch_size=4))
    places = len(module.placement.placements)
    assert [share for share, _ in shares.seen] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert [count for _, count in shares.seen] == [places] * 4 + [0] * 2
    assert module.state_dict().keys() == keys
    assert not any(m._forward_hooks for m in module.network.modules())


def test_bad_settings(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        Blend(steps=0)
    with pytest.raises(UserError, match="compiled or captured network"):
        quiet_trainer(tmp_path, callbacks=[Blend(steps=2)]).fit(TinyModule(compile=True), TinyData(n=8))
