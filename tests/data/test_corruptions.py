"""Each corruption against its formula in numpy, SciPy or Pillow; seeds; what it refuses."""

import io
import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image
from scipy import stats

from lpflu_bench.data.corruptions import KINDS, SEVERITIES, Corruption
from lpflu_bench.data.corruptions.blur import disk, gaussian_blur, smear, zoom
from lpflu_bench.data.corruptions.digital import box_resize, displace
from lpflu_bench.errors import UserError

CIFAR_C = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
]


def photos(count=4, height=32, width=32):
    """Smooth coloured images, as photographs are."""
    noise = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    smooth = gaussian_blur(noise, 2.0)
    low, high = smooth.amin(dim=(1, 2, 3), keepdim=True), smooth.amax(dim=(1, 2, 3), keepdim=True)
    return (smooth - low) / (high - low)


def grey(level, count=8, size=32):
    return torch.full((count, 3, size, size), level)


def test_the_fifteen_of_cifar_c_in_its_order():
    assert list(KINDS) == CIFAR_C
    assert [kind.name for kind in KINDS.values() if not kind.keeps_geometry] == ["zoom_blur", "elastic_transform"]
    assert all(len(kind.small) == len(kind.large) == len(SEVERITIES) for kind in KINDS.values())


@pytest.mark.parametrize("name", CIFAR_C)
def test_seeded_by_image_and_not_by_batch(name):
    images = (photos(6) * 255).byte()
    whole = Corruption(name, 3)(images, range(6))
    assert whole.dtype == torch.uint8
    assert whole.shape == images.shape
    assert not torch.equal(whole, images)
    torch.manual_seed(123)
    assert torch.equal(Corruption(name, 3)(images[4:], [4, 5]), whole[4:])
    redrawn = Corruption(name, 3, seed=1)(images, range(6))
    exact = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert torch.equal(redrawn, whole) == (name in exact)


@pytest.mark.parametrize("name", CIFAR_C)
def test_shapes_types_and_range(name):
    for shape in ((1, 3, 32, 64), (2, 1, 28, 28), (1, 3, 128, 136)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        corrupted = Corruption(name, 5)(images, range(len(images)))
        assert corrupted.shape == images.shape
        assert corrupted.dtype == torch.float32
        assert 0 <= corrupted.min() <= corrupted.max() <= 1


@pytest.mark.parametrize("name", [n for n in CIFAR_C if n not in ("elastic_transform", "glass_blur", "frost")])
def test_a_higher_severity_changes_more(name):
    # The benchmark's levels of the other three do not rise in the squared difference: frost also darkens, for one.
    images = photos(16)
    changes = [(Corruption(name, severity)(images, range(16)) - images).square().mean() for severity in (1, 3, 5)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_noise_has_the_stated_distribution():
    noisy = Corruption("gaussian_noise", 5)(grey(0.5), range(8))
    assert stats.kstest((noisy - 0.5).flatten().numpy() / 0.10, "norm").pvalue > 1e-3
    counts = Corruption("shot_noise", 5)(grey(0.5), range(8)) * 50
    assert torch.allclose(counts, counts.round(), atol=1e-4)
    assert counts.mean().item() == pytest.approx(25, rel=0.01)
    assert counts.var().item() == pytest.approx(25, rel=0.03)
    hit = Corruption("impulse_noise", 5)(grey(0.5), range(8))
    assert (hit == 0).float().mean().item() == pytest.approx(0.035, abs=0.004)
    assert (hit == 1).float().mean().item() == pytest.approx(0.035, abs=0.004)
    assert (hit == 0.5).float().mean().item() == pytest.approx(0.93, abs=0.005)


@pytest.mark.parametrize("sigma", [0.25, 0.4, 1.0, 1.5])
def test_gaussian_blur_is_scipys(sigma):
    images = photos(1)
    expected = scipy.ndimage.gaussian_filter(images[0].numpy(), (0, sigma, sigma), mode="nearest")
    np.testing.assert_allclose(gaussian_blur(images, sigma)[0].numpy(), expected, atol=2e-6)


@pytest.mark.parametrize(("radius", "sigma"), KINDS["defocus_blur"].small + KINDS["defocus_blur"].large)
def test_defocus_blur_is_a_smoothed_disk(radius, sigma):
    reach = 20
    x, y = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    filled = (x**2 + y**2 <= radius**2).astype(float)
    near = np.arange(3 if radius <= 8 else 5) - (1 if radius <= 8 else 2)
    edge = np.exp(-(near**2) / (2 * sigma**2))
    edge /= edge.sum()
    expected = scipy.ndimage.convolve(filled / filled.sum(), np.outer(edge, edge), mode="constant")
    ours = disk(radius, sigma).numpy()
    pad = (len(expected) - len(ours)) // 2
    np.testing.assert_allclose(np.pad(ours, pad), expected, atol=1e-6)


def test_defocus_blur_mirrors_the_edge():
    image = photos(1)
    expected = scipy.ndimage.correlate(image[0, 0].numpy(), disk(1.5, 0.1).numpy(), mode="mirror")
    np.testing.assert_allclose(Corruption("defocus_blur", 5)(image, [0])[0, 0].numpy(), expected, atol=2e-6)


def test_glass_blur_takes_values_of_neighbours():
    columns = torch.arange(32.0).expand(1, 3, 32, 32) / 31
    ways = (Corruption("glass_blur", 1)(columns, [0]) - columns) * 31  # sigma 0.05 blurs nothing
    assert set(ways.round().unique().tolist()) == {-1.0, 0.0}
    assert torch.allclose(ways, ways.round(), atol=1e-4)


@pytest.mark.parametrize("degrees", [0.0, 30.0, -45.0, -90.0])
def test_smear_is_a_one_sided_half_gaussian(degrees):
    radius, sigma = 6, 2.0
    dot = torch.zeros(1, 1, 41, 41)
    dot[..., 20, 20] = 1
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(2 * radius + 1)]
    expected = np.zeros((41, 41))
    for step, weight in enumerate(weights):
        down = -math.ceil(step * math.sin(math.radians(degrees)) - 0.5)
        right = -math.ceil(step * math.cos(math.radians(degrees)) - 0.5)
        expected[20 + down, 20 + right] += weight / sum(weights)
    np.testing.assert_allclose(smear(dot, radius, sigma, torch.tensor([degrees]))[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.25, 2.25])
def test_zoom_is_scipys(factor):
    image = photos(1)
    size = math.ceil(32 / factor)
    top = (32 - size) // 2
    expected = scipy.ndimage.zoom(image[0, 0, top : top + size, top : top + size].numpy(), factor, order=1)
    trim = (len(expected) - 32) // 2
    expected = expected[trim : trim + 32, trim : trim + 32]
    np.testing.assert_allclose(zoom(image, factor)[0, 0].numpy(), expected, atol=2e-6)


def test_snow_whitens_and_falls():
    black = Corruption("snow", 5)(grey(0.0), range(8))
    assert black.min().item() == pytest.approx(0.2 * 0.5, abs=1e-6)  # (1 - 0.8) (1.5 grey + 0.5) where no flake is
    assert black.max() > 0.3
    assert torch.equal(black[:, 0], black[:, 1])


def test_fog_keeps_the_largest_value_in_reach():
    image = photos(2)
    foggy = Corruption("fog", 5)(image, range(2))
    density = (foggy - image / 2.5)[:, 0] * 2.5 / 1.5  # largest value 1: (x + 1.5 plasma) / 2.5
    assert density.amin(dim=(1, 2)).abs().max() < 1e-5
    assert (density.amax(dim=(1, 2)) - 1).abs().max() < 1e-5
    rough = [
        (Corruption("fog", severity)(grey(1.0), range(8)).diff(dim=-1).abs().mean()).item() for severity in SEVERITIES
    ]
    assert rough == sorted(rough)


def test_frost_is_pale_blue_ice_over_the_image():
    icy = Corruption("frost", 5)(grey(0.0), range(8))
    assert (icy[:, 0] < icy[:, 2]).all()
    assert icy.max().item() <= 0.45 + 1e-6
    assert icy.min().item() >= 0.45 * 0.2 * 0.85 - 1e-6


def test_brightness_raises_the_value_of_hsv():
    import colorsys

    image = photos(1, 8, 8)
    brighter = Corruption("brightness", 4)(image, [0])
    for before, after in zip(image[0].flatten(1).T.tolist(), brighter[0].flatten(1).T.tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        assert after == pytest.approx(colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.2)), abs=1e-4)


def test_contrast_shrinks_towards_the_channel_mean():
    image = photos(1)
    expected = image.numpy()
    means = expected.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(
        Corruption("contrast", 5)(image, [0]).numpy(), (expected - means) * 0.15 + means, atol=1e-6
    )


def test_displace_is_scipys_map_coordinates():
    image = photos(1)
    offsets = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0)) * 4
    rows, columns = np.mgrid[:32, :32]
    where = [rows + offsets[0, 1].numpy(), columns + offsets[0, 0].numpy()]
    expected = scipy.ndimage.map_coordinates(image[0, 0].numpy(), where, order=1, mode="reflect")
    # At the mirrored border itself SciPy interpolates across it, torch clips: the inside must agree.
    inside = (where[0] > 0) & (where[0] < 31) & (where[1] > 0) & (where[1] < 31)
    np.testing.assert_allclose(displace(image, offsets)[0, 0].numpy()[inside], expected[inside], atol=1e-5)


def test_elastic_transform_moves_three_corners_by_what_was_drawn():
    rows, columns = np.mgrid[:32, :32]
    image = torch.from_numpy(np.stack([rows, columns, rows])[None] / 31.0).float()
    warped = Corruption("elastic_transform", 1)(image, [3])  # severity 1 is the affine map alone
    inside = warped[0, :2, 12:20, 12:20].numpy() * 31
    # Source coordinates of an affine map are linear in the target's.
    assert np.abs(np.diff(inside, n=2, axis=1)).max() < 1e-3
    assert np.abs(np.diff(inside, n=2, axis=2)).max() < 1e-3
    from lpflu_bench.data.corruptions.draws import ImageDraws

    corners = np.array([[26, 26], [26, 6], [6, 6]])  # (x, y) about the middle, 10 pixels away
    draws = ImageDraws(0, "elastic_transform-1", [3], torch.device("cpu"))
    moved = corners + draws.uniform(3, 2, low=-2.56, high=2.56)[0].numpy()
    solved = np.linalg.solve(np.c_[moved, np.ones(3)], corners)  # target to source
    expected = np.array([[np.array([x, y, 1]) @ solved for x in range(12, 20)] for y in range(12, 20)])
    np.testing.assert_allclose(inside, expected[..., ::-1].transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("size", [(30, 30), (20, 24), (8, 9), (32, 32)])
def test_box_resize_is_pillows(size):
    pixels = (photos(1, 32, 40)[0] * 255).byte().permute(1, 2, 0).numpy()
    height, width = size
    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    back = np.asarray(small.resize((40, 32), Image.Resampling.BOX))
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    ours = box_resize(box_resize(images, height, width), 32, 40)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - back).max() <= 1.5  # Pillow rounds after each pass


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_is_about_pillows(severity):
    images = (photos(2) * 255).byte()
    ours = Corruption("jpeg_compression", severity)(images, range(2)).int()
    for image, result in zip(images, ours, strict=True):
        file = io.BytesIO()
        quality = KINDS["jpeg_compression"].small[severity - 1]
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).int()
        assert (result - expected).abs().float().mean() < 0.5 * (expected - image.int()).abs().float().mean()


def test_pixelate_is_pillows():
    pixels = (photos(1)[0] * 255).byte()
    small = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((20, 20), Image.Resampling.BOX)
    expected = torch.from_numpy(np.array(small.resize((32, 32), Image.Resampling.BOX))).permute(2, 0, 1)
    assert (Corruption("pixelate", 5)(pixels[None], [0])[0].int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "severity", "message"),
    [
        ("fogg", 1, "there is no corruption 'fogg'; the nearest is fog"),
        ("water", 1, "there is no corruption 'water'"),
        ("fog", 6, "corruption fog: severity 6 does not exist; it is 1, 2, 3, 4 or 5"),
        ("fog", 0, "severity 0 does not exist"),
    ],
)
def test_refused(name, severity, message):
    with pytest.raises(UserError) as error:
        Corruption(name, severity)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_levels_of_noise_are_the_benchmarks():
    """Of CIFAR-10-C and ImageNet-C, as their authors' code has them."""
    levels = {
        "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
        "shot_noise": ((500, 250, 100, 75, 50), (60, 25, 12, 5, 3)),
        "impulse_noise": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    }
    assert {name: (KINDS[name].small, KINDS[name].large) for name in levels} == levels
