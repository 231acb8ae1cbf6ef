"""The drawn set: fixed, balanced, and easy enough to learn."""

import pytest
import torch
from torch import nn

from lpflu_bench.data import Shapes
from lpflu_bench.data.synthetic_shapes import SHAPES, draw_shapes


def test_same_images_every_time_and_no_draw_from_the_global_generator():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = draw_shapes(10, train=200, test=50)
    assert torch.equal(torch.get_rng_state(), state)
    second = draw_shapes(10, train=200, test=50)
    for a, b in zip(first[:2], second[:2], strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_layout_and_balance():
    (images, targets), (test_images, test_targets), names = draw_shapes(10, train=200, test=50)
    assert images.shape == (200, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert torch.bincount(targets).tolist() == [20] * 10
    assert torch.bincount(test_targets).tolist() == [5] * 10
    assert names == list(SHAPES)
    assert not (test_images[:, None] == images[None, :50]).flatten(2).all(2).any()


def test_hundred_classes_are_shape_and_colour():
    _, _, names = draw_shapes(100, train=100, test=100)
    assert len(set(names)) == 100


def test_a_number_of_classes_that_is_no_multiple_of_ten():
    with pytest.raises(ValueError, match="multiple of 10"):
        draw_shapes(7)


def test_a_small_network_learns_it_but_not_at_once():
    torch.manual_seed(0)
    data = Shapes(root="embedded", batch_size=64, augmentation="flip")
    data.setup("fit")
    network = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    loader = data.train_dataloader()
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            images, targets = data.prepare_batch(data.augment_batch(batch))
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), targets).backward()
            optimizer.step()
    network.eval()
    images, targets = data.prepare_batch((data.test_set.images, data.test_set.targets))
    with torch.no_grad():
        accuracy = (network(images).argmax(1) == targets).float().mean()
    assert 0.3 < accuracy < 0.99
