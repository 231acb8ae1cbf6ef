"""FGSM and PGD against attacks written out on a linear classifier; the ball, the range, seeds, what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.errors import UserError
from lpflu_bench.modules.attacks import Attack

PIXELS = 3 * 4 * 4
WEIGHTS = torch.randn(5, PIXELS, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 1, 2, 3, 4, 0])


def loss(images):
    return F.cross_entropy(images.flatten(1) @ WEIGHTS.T, TARGETS, reduction="sum")


def gradient(pixels):
    """Of the cross-entropy of softmax(W x), in numpy: (p - onehot) W."""
    weights = WEIGHTS.double().numpy()
    logits = pixels @ weights.T
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return (shares - np.eye(5)[TARGETS]) @ weights


def test_fgsm_on_a_linear_classifier():
    clean = IMAGES.double().flatten(1).numpy()
    expected = np.clip(clean + 8 / 255 * np.sign(gradient(clean)), 0, 1)
    attacked = Attack("fgsm", radius=8)(IMAGES, range(6), loss)
    np.testing.assert_allclose(attacked.flatten(1).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("steps", "step_size"), [(1, None), (7, None), (10, 2.0)])
def test_pgd_on_a_linear_classifier(steps, step_size):
    clean = IMAGES.double().flatten(1).numpy()
    radius = 8 / 255
    draws = ImageDraws(3, "pgd", range(6), torch.device("cpu"))
    start = draws.uniform(3, 4, 4, low=-radius, high=radius).double().flatten(1).numpy()
    attacked = np.clip(clean + start, 0, 1)
    for _ in range(steps):
        attacked = attacked + (2.5 * radius / steps if step_size is None else step_size / 255) * np.sign(
            gradient(attacked)
        )
        attacked = np.clip(np.clip(attacked, clean - radius, clean + radius), 0, 1)
    ours = Attack("pgd", radius=8, steps=steps, step_size=step_size, seed=3)(IMAGES, range(6), loss)
    np.testing.assert_allclose(ours.flatten(1).numpy(), attacked, atol=1e-5)


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
def test_stays_in_the_ball_and_in_range_and_raises_the_loss(kind):
    attacked = Attack(kind, radius=16)(IMAGES, range(6), loss)
    assert (attacked - IMAGES).abs().max() <= 16 / 255 + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert loss(attacked) > loss(IMAGES)


def test_radius_0_changes_nothing():
    for kind in ("fgsm", "pgd"):
        assert torch.equal(Attack(kind, radius=0)(IMAGES, range(6), loss), IMAGES)


def test_works_in_inference_mode_and_leaves_the_images_alone():
    with torch.inference_mode():
        images = IMAGES.clone()
        attacked = Attack("pgd")(images, range(6), loss)
    assert torch.equal(images, IMAGES)
    assert torch.equal(attacked, Attack("pgd")(IMAGES, range(6), loss))


def test_the_random_start_is_the_images_own():
    def part(images):
        return F.cross_entropy(images.flatten(1) @ WEIGHTS.T, TARGETS[4:], reduction="sum")

    whole = Attack("pgd")(IMAGES, range(6), loss)
    assert torch.equal(Attack("pgd")(IMAGES[4:], [4, 5], part), whole[4:])
    assert not torch.equal(
        Attack("pgd", steps=1, seed=1)(IMAGES, range(6), loss), Attack("pgd", steps=1)(IMAGES, range(6), loss)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "cw"}, "there is no attack 'cw'; known are fgsm, pgd"),
        ({"radius": -1}, "radius -1 is out of range; it is in 255ths, 0 to 255"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"step_size": 0.0}, "step_size must be above 0, not 0.0"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(UserError) as error:
        Attack(**settings)
    assert message in str(error.value)
