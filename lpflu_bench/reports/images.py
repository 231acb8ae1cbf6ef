"""What the recorded outcomes of single test images say beyond the seeds."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from lpflu_bench.inference.images import (
    ImageVariance,
    TwoNetworks,
    bootstrap_variance,
    bootstrap_weights,
    image_variance,
    mcnemar,
    two_networks_by_resamples,
)
from lpflu_bench.outcomes import Outcomes
from lpflu_bench.records import Record, Weights
from lpflu_bench.scores import Score

Floats = npt.NDArray[np.float64]
Records = Mapping[int, Record]
"""Seed -> record."""


Load = Callable[[Record, Weights], Outcomes | None]
"""(record, weights) -> the outcomes of its test, None where there are none."""


class ImageEvidence:
    """The image outcomes of a study's runs, each read once for a score.

    Args:
        load: gives a record's outcomes.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: dict[tuple[int, str, str], tuple[Floats, int] | None] = {}

    def _values(self, record: Record, weights: Weights, score: Score) -> tuple[Floats, int] | None:
        """Return a run's values by image (a share) or by resample (any other score), and the number of images."""
        key = (id(record), weights, score.name)
        if key not in self._kept:
            outcomes = self._load(record, weights)
            if outcomes is None or score.name not in outcomes.scores:
                self._kept[key] = None
            elif score.share:
                self._kept[key] = (outcomes.per_image_score(score.name), outcomes.num_images)
            else:
                rows = bootstrap_weights(outcomes.num_images)
                self._kept[key] = (outcomes.resample(score.name, rows), outcomes.num_images)
        return self._kept[key]

    def _pairs(
        self, ours: Records, theirs: Records, weights: Weights, score: Score
    ) -> list[tuple[Floats, Floats, int]]:
        """Return both runs' values for every common seed; nothing where a run has none or the test sets differ."""
        pairs = []
        for seed in sorted(ours.keys() & theirs.keys()):
            one, two = self._values(ours[seed], weights, score), self._values(theirs[seed], weights, score)
            if one is None or two is None or one[1] != two[1]:
                return []
            pairs.append((one[0], two[0], one[1]))
        return pairs if len({images for *_, images in pairs}) == 1 else []

    def variance(self, ours: Records, theirs: Records, weights: Weights, score: Score) -> ImageVariance | None:
        """Return what the choice of the images adds to the variance of the mean difference."""
        pairs = self._pairs(ours, theirs, weights, score)
        if not pairs:
            return None
        differences = np.array([one - two for one, two, _ in pairs])
        images = pairs[0][2]
        return image_variance(differences) if score.share else bootstrap_variance(differences, images)

    def two_networks(
        self, ours: Records, theirs: Records, weights: Weights, score: Score, difference: float, level: float
    ) -> TwoNetworks | None:
        """Compare the only run of a function with the reference's of the same seed, image by image."""
        pairs = self._pairs(ours, theirs, weights, score)
        if len(pairs) != 1:
            return None
        one, two, _ = pairs[0]
        if score.share and score.lower_is_better:
            return mcnemar(one > 0, two > 0, level)
        return None if score.share else two_networks_by_resamples(difference, one - two, level)
