"""What a test said of each image, kept beside the record: any score can be computed again on any resample of the images.

``load_outcomes(record_path, test)`` returns one of three classes, all with the same interface:

- ``scores``: the names of the scores that follow from the outcomes;
- ``per_image_score(name)``: float64 [N], the score of a test set of that image alone, NaN where it has none. For shares
  (``Score.share``) and only for them, the mean over the images is the score;
- ``resample(name, weights)``: float64 [B], the score of B resamples. ``weights`` [B, N] says how often each image is in
  a resample: ones give the recorded score, rows of a multinomial draw a bootstrap over images.

Images are in the data set's order, whatever the number of devices. Values are in percent, as in the record. A record
``record.json`` has its outcomes in ``outcomes.npz`` beside it, ``HASH.json`` in ``HASH.npz``; one file holds those of
all its tests.
"""

from lpflu_bench.outcomes.base import Outcomes
from lpflu_bench.outcomes.classification import ClassificationOutcomes
from lpflu_bench.outcomes.detection import THRESHOLDS, DetectionOutcomes
from lpflu_bench.outcomes.segmentation import SegmentationOutcomes
from lpflu_bench.outcomes.storage import has_outcomes, load_outcomes, outcomes_path, save_outcomes

__all__ = [
    "THRESHOLDS",
    "ClassificationOutcomes",
    "DetectionOutcomes",
    "Outcomes",
    "SegmentationOutcomes",
    "has_outcomes",
    "load_outcomes",
    "outcomes_path",
    "save_outcomes",
]
