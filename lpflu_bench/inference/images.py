"""What the outcomes of single test images add: intervals that cover new images too, and claims about two trained networks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lpflu_bench.inference.comparison import Comparison
from lpflu_bench.inference.critical import POOLED_FROM, degrees_of_freedom, dunnett_quantile
from lpflu_bench.inference.verdicts import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImageVariance:
    """The variance of a mean difference over seeds that comes from the choice of the test images.

    Attributes:
        total: variance of the mean difference when the images are drawn anew, by the images alone.
        residual: what of it is the seeds' own disagreement about images, which more seeds would average out and which
            the variance over seeds holds already.
        images: number of test images.
        seeds: number of paired seeds.
    """

    total: float
    residual: float
    images: int
    seeds: int

    @property
    def between_images(self) -> float:
        """What the choice of the images adds to the variance over seeds."""
        return max(0.0, self.total - self.residual)


def image_variance(differences: Floats) -> ImageVariance:
    """Return it for a score that is a mean over images.

    Args:
        differences: [seeds, images]: what image i adds for the function minus what it adds for the reference, at seed s.
    """
    seeds, images = differences.shape
    total = float(differences.mean(axis=0).var(ddof=1)) / images
    if seeds < 2:
        return ImageVariance(total, 0.0, images, seeds)
    centred = (
        differences
        - differences.mean(axis=0, keepdims=True)
        - differences.mean(axis=1, keepdims=True)
        + differences.mean()
    )
    square = float((centred**2).sum()) / ((seeds - 1) * (images - 1))
    return ImageVariance(total, square / (seeds * images), images, seeds)


def bootstrap_variance(differences: Floats, images: int) -> ImageVariance:
    """Return it for any score, from its values on the same resamples of the images for every run (mAP, mIoU).

    Args:
        differences: [seeds, resamples]: the function's score minus the reference's, at seed s on resample b.
        images: number of test images.
    """
    seeds = len(differences)
    total = float(differences.mean(axis=0).var(ddof=1))
    if seeds < 2:
        return ImageVariance(total, 0.0, images, seeds)
    single = float(differences.var(axis=1, ddof=1).mean())
    # single = between + own, total = between + own / seeds
    own = max(0.0, single - total) * seeds / (seeds - 1)
    return ImageVariance(total, own / seeds, images, seeds)


def with_new_images(
    comparison: Comparison, variance: ImageVariance, *, level: float, family: int, observed: int
) -> Interval | None:
    """Return the interval that covers new seeds *and* new images; never narrower than the one for new seeds.

    The two variances add; degrees of freedom by Satterthwaite.

    Args:
        comparison: over the seeds.
        variance: of the same seeds.
        level: chance that any interval of the family misses.
        family: comparisons of the study.
        observed: comparisons that have a variance.
    """
    if comparison.interval is None:
        return None
    over_seeds = comparison.noise**2 / comparison.n
    squared = over_seeds + variance.between_images
    freedom = degrees_of_freedom(observed, comparison.n, own=comparison.own_noise)
    shares = over_seeds**2 / freedom + variance.total**2 / (variance.images - 1)
    shares += variance.residual**2 / max((variance.seeds - 1) * (variance.images - 1), 1)
    df = squared**2 / shares
    if observed < POOLED_FROM:
        critical = float(special.stdtrit(df, 1 - (1 - (1 - level) ** (1 / family)) / 2))
    else:
        critical = dunnett_quantile(level, family, df)
    width = max(comparison.half_width, critical * math.sqrt(squared))
    return Interval(comparison.difference - width, comparison.difference + width)


@dataclass(frozen=True)
class TwoNetworks:
    """Two trained networks on the same test images: a claim about these two, never about their functions.

    Attributes:
        difference: of the first from the second, in the score's unit.
        interval: with new images of the same kind.
        only_first: images that the first alone has wrong; None where the score is not a share of images.
        only_second: images that the second alone has wrong.
        p: of McNemar's exact test; None where the score is not a share of images.
    """

    difference: float
    interval: Interval
    only_first: int | None = None
    only_second: int | None = None
    p: float | None = None


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], level: float = 0.05) -> TwoNetworks:
    """Compare two networks' errors, in percent, on the same images: McNemar's exact test and the interval that agrees with it.

    Given the number of images on which they differ, those that the first has wrong are binomial; the interval is
    Clopper and Pearson's of that share, so it excludes 0 exactly where the test rejects.

    Args:
        first: whether each image is wrong, [N].
        second: of the other network, the same images.
        level: of the test; the interval's confidence is 1 - level.
    """
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    differing, images = b + c, len(first)
    low = float(special.betaincinv(b, c + 1, level / 2)) if b else 0.0
    high = float(special.betaincinv(b + 1, c, 1 - level / 2)) if c else 1.0
    scale = 100 * differing / images
    p = min(1.0, 2 * float(special.bdtr(min(b, c), differing, 0.5))) if differing else 1.0
    return TwoNetworks(100 * (b - c) / images, Interval(scale * (2 * low - 1), scale * (2 * high - 1)), b, c, p)


def two_networks_by_resamples(difference: float, resampled: Floats, level: float = 0.05) -> TwoNetworks:
    """Compare two networks by a score on the same resamples of the images: the percentile interval of the paired bootstrap.

    Args:
        difference: on the test set.
        resampled: [B] differences.
        level: 1 - the interval's confidence.
    """
    low, high = np.quantile(resampled, [level / 2, 1 - level / 2])
    return TwoNetworks(difference, Interval(float(low), float(high)))


def bootstrap_weights(images: int, resamples: int = 400) -> Floats:
    """Return how often each image is in each resample, [resamples, images]; the same for every run of a study."""
    drawn = np.random.default_rng(3).multinomial(images, np.full(images, 1 / images), size=resamples)
    return drawn.astype(np.float64)
