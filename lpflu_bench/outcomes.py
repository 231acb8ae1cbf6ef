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

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from lpflu_bench.errors import UserError
from lpflu_bench.files import replaced_atomically
from lpflu_bench.records import FILE_NAME, OutcomesFile, Tested

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's IoU thresholds."""
_RECALLS = np.linspace(0.0, 1.0, 101)


class Outcomes(Protocol):
    """What was said of each image of a test set."""

    num_images: int

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores that follow from the outcomes."""

    def per_image_score(self, name: str) -> Floats:
        """Return the score of each image alone, [N]; NaN where it has none."""

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the score of each row of ``weights`` [B, N]: how often an image counts."""

    def arrays(self) -> Arrays:
        """Return what is stored."""


def _rows(weights: npt.ArrayLike, num_images: int) -> Floats:
    rows = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if rows.shape[1] != num_images:
        raise ValueError(f"weights has {rows.shape[1]} columns for {num_images} images")
    return rows


def _known(name: str, scores: Sequence[str]) -> None:
    if name not in scores:
        raise ValueError(f"'{name}' does not follow from these outcomes, but {', '.join(scores)} do")


class ClassificationOutcomes:
    """Whether the right class was the first, and among the first five, for each image.

    Args:
        correct: ``top1`` and ``top5``, bool [N] each.
    """

    kind: ClassVar[str] = "classification"

    def __init__(self, correct: Mapping[str, npt.NDArray[np.bool_]]) -> None:
        self._correct = dict(correct)
        self.num_images = len(self._correct["top1"])

    @property
    def scores(self) -> tuple[str, ...]:
        """The errors."""
        return tuple(f"{name}_error" for name in self._correct)

    def per_image_score(self, name: str) -> Floats:
        """Return 100 for an image that is wrong, 0 for one that is right, [N]."""
        _known(name, self.scores)
        return 100.0 * (~self._correct[name.removesuffix("_error")]).astype(np.float64)

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the error of each row of ``weights`` [B, N]."""
        rows = _rows(weights, self.num_images)
        errors: Floats = rows @ self.per_image_score(name) / rows.sum(1)
        return errors

    def arrays(self) -> Arrays:
        """Return one bit an image."""
        bits = {name: np.packbits(correct) for name, correct in self._correct.items()}
        return {"num_images": np.array(self.num_images), **bits}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ClassificationOutcomes":
        """Undo :meth:`arrays`."""
        count = int(arrays["num_images"])
        return cls(
            {k: np.unpackbits(bits, count=count).astype(bool) for k, bits in arrays.items() if k != "num_images"}
        )


class SegmentationOutcomes:
    """Each image's confusion matrix.

    Args:
        image: of each entry, [E]; entries are the cells of the matrices that are not 0.
        cell: label * C + prediction of each entry, [E].
        count: pixels of each entry, [E].
        num_images: number of images.
        num_classes: C.
        other_class: the class that ``miou_<C-1>`` leaves out, -1 for none.
    """

    kind: ClassVar[str] = "segmentation"

    def __init__(
        self,
        image: npt.NDArray[Any],
        cell: npt.NDArray[Any],
        count: npt.NDArray[Any],
        num_images: int,
        num_classes: int,
        other_class: int = -1,
    ) -> None:
        self._image, self._cell, self._count = image, cell, count
        self.num_images, self._num_classes, self._other = num_images, num_classes, other_class

    @property
    def scores(self) -> tuple[str, ...]:
        """The mean IoUs and the pixel accuracy."""
        named = (f"miou_{self._num_classes - 1}",) if self._other >= 0 else ()
        return ("miou", *named, "pixel_accuracy")

    def per_image_score(self, name: str) -> Floats:
        """Return the score of each image's own matrix, [N]."""
        size = self._num_classes**2
        matrices = np.zeros((self.num_images, size))
        matrices[self._image, self._cell] = self._count
        return self._score(name, matrices)

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the score of the weighted sum of the matrices for each row of ``weights`` [B, N]."""
        rows = _rows(weights, self.num_images)
        matrices = np.stack(
            [np.bincount(self._cell, row[self._image] * self._count, minlength=self._num_classes**2) for row in rows]
        ).astype(np.float64)
        return self._score(name, matrices)

    def _score(self, name: str, matrices: Floats) -> Floats:
        _known(name, self.scores)
        confusion = matrices.reshape(-1, self._num_classes, self._num_classes)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        with np.errstate(invalid="ignore"):
            if name == "pixel_accuracy":
                accuracy: Floats = 100.0 * hits.sum(1) / confusion.sum((1, 2))
                return accuracy
            ious = hits / (confusion.sum(1) + confusion.sum(2) - hits)
        if name != "miou":
            ious = np.delete(ious, self._other, axis=1)
        there = ~np.isnan(ious)
        with np.errstate(invalid="ignore"):
            mean: Floats = 100.0 * np.where(there, ious, 0.0).sum(1) / there.sum(1)
        return mean

    def arrays(self) -> Arrays:
        """Return the entries, in the smallest types that hold them."""
        return {
            "shape": np.array([self.num_images, self._num_classes, self._other]),
            "image": _small(self._image),
            "cell": _small(self._cell),
            "count": _small(self._count),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "SegmentationOutcomes":
        """Undo :meth:`arrays`."""
        num_images, num_classes, other = (int(number) for number in arrays["shape"])
        image, cell, count = (arrays[name].astype(np.int64) for name in ("image", "cell", "count"))
        return cls(image, cell, count, num_images, num_classes, other)


class DetectionOutcomes:
    """Which detections of each image found an object, as COCO matches them (area "all", 100 detections a class).

    Args:
        image: of each detection, [D]; detections are sorted by class, then by falling score, equal ones by image.
        label: class of each detection, [D].
        matched: bit t of it: found an object at ``THRESHOLDS[t]``, [D].
        ignored: bit t of it: does not count at that threshold, as it found a crowd, [D].
        object_image: of each class of an image that has objects, [O].
        object_label: the class, [O].
        object_count: how many that are no crowd, [O].
        num_images: number of images.
    """

    kind: ClassVar[str] = "detection"

    def __init__(
        self,
        image: npt.NDArray[Any],
        label: npt.NDArray[Any],
        matched: npt.NDArray[Any],
        ignored: npt.NDArray[Any],
        object_image: npt.NDArray[Any],
        object_label: npt.NDArray[Any],
        object_count: npt.NDArray[Any],
        num_images: int,
    ) -> None:
        self._image, self._label, self._matched, self._ignored = image, label, matched, ignored
        self._object_image, self._object_label, self._object_count = object_image, object_label, object_count
        self.num_images = num_images

    @property
    def scores(self) -> tuple[str, ...]:
        """The mAPs over all classes."""
        return ("map", "map_50", "map_75")

    def per_image_score(self, name: str) -> Floats:
        """Return the mAP of each image alone, [N]."""
        by_image = np.argsort(self._image, kind="stable")
        ends = np.searchsorted(self._image[by_image], np.arange(self.num_images + 1))
        scores = np.full(self.num_images, np.nan)
        for index in np.unique(self._object_image):
            scores[index] = self._map(
                name, by_image[ends[index] : ends[index + 1]], np.eye(1, self.num_images, index)[0]
            )
        return scores

    def resample(self, name: str, weights: npt.ArrayLike) -> Floats:
        """Return the mAP of each row of ``weights`` [B, N]; classes without an object in it are left out."""
        everything = np.arange(len(self._image))
        return np.array([self._map(name, everything, row) for row in _rows(weights, self.num_images)])

    def _map(self, name: str, chosen: npt.NDArray[Any], weights: Floats) -> float:
        _known(name, self.scores)
        thresholds = {"map": range(len(THRESHOLDS)), "map_50": (0,), "map_75": (5,)}[name]
        objects = np.bincount(self._object_label, weights[self._object_image] * self._object_count)
        chosen = chosen[weights[self._image[chosen]] > 0]
        labels = self._label[chosen]
        starts = np.searchsorted(labels, np.arange(len(objects) + 1))
        precisions = []
        for label in np.flatnonzero(objects):
            mine = chosen[starts[label] : starts[label + 1]]
            weight = weights[self._image[mine]]
            for bit in thresholds:
                counts = np.where(self._ignored[mine] >> bit & 1, 0.0, weight)
                hits = np.where(self._matched[mine] >> bit & 1, counts, 0.0)
                precisions.append(_average_precision(hits, counts, objects[label]))
        return 100.0 * float(np.mean(precisions)) if precisions else float("nan")

    def arrays(self) -> Arrays:
        """Return the matches, in the smallest types that hold them."""
        names = ("image", "label", "matched", "ignored", "object_image", "object_label", "object_count")
        return {"num_images": np.array(self.num_images), **{name: _small(getattr(self, f"_{name}")) for name in names}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "DetectionOutcomes":
        """Undo :meth:`arrays`."""
        columns = {name: array.astype(np.int64) for name, array in arrays.items() if name != "num_images"}
        return cls(**columns, num_images=int(arrays["num_images"]))


def _average_precision(hits: Floats, counts: Floats, objects: float) -> float:
    """Return COCO's average precision: the mean over 101 recalls of the best precision at that recall or a higher one."""
    found, said = np.cumsum(hits), np.cumsum(counts)
    recall = found / objects
    precision = found / (said + np.spacing(1.0))
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, _RECALLS, side="left")].mean())


def _small(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    largest = int(array.max(initial=0))
    return array.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32)


# --- the file --------------------------------------------------------------------------------------------------------

_KINDS: dict[str, Any] = {c.kind: c for c in (ClassificationOutcomes, SegmentationOutcomes, DetectionOutcomes)}


def outcomes_path(record: Path) -> Path:
    """Return where the outcomes of a record's tests are."""
    return record.with_name("outcomes.npz") if record.name == FILE_NAME else record.with_suffix(".npz")


def _key(weights: str, conditions: Mapping[str, Any]) -> str:
    text = json.dumps([weights, conditions], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _hash(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Arrays:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def save_outcomes(
    outcomes: Outcomes, record: Path, weights: str, conditions: Mapping[str, Any], keep: Sequence[Tested] = ()
) -> OutcomesFile:
    """Put a test's outcomes beside a record, and return what the record says of them.

    Args:
        outcomes: of the test.
        record: path of the record.
        weights: that were tested.
        conditions: of the test.
        keep: the record's other tests; outcomes of any others are removed from the file.
    """
    path, key = outcomes_path(record), _key(weights, conditions)
    kept = {test["outcomes"]["key"] for test in keep if test["outcomes"]} - {key}
    earlier = _read(path) if kept and path.is_file() else {}
    arrays = outcomes.arrays()
    stored = {name: array for name, array in earlier.items() if name.partition(".")[0] in kept}
    stored |= {f"{key}.{name}": array for name, array in arrays.items()}
    with replaced_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **stored)
    return {"kind": getattr(outcomes, "kind"), "key": key, "hash": _hash(arrays)}  # noqa: B009


def load_outcomes(record: Path, test: Tested) -> Outcomes:
    """Return the outcomes of one of a record's tests.

    Args:
        record: path of the record.
        test: one of its ``tested``.

    Raises:
        UserError: the test has none, or the file is missing or is not the one that was written.
    """
    path, described = outcomes_path(record), test["outcomes"]
    if described is None:
        raise UserError(f"{record} has no outcomes by image: it was made by an earlier version; test the run again")
    try:
        arrays = _read(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} with the outcomes of {record.name} cannot be read ({error}); test the run again"
        ) from error
    prefix = f"{described['key']}."
    mine = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    if _hash(mine) != described["hash"]:
        raise UserError(f"{path} is not what was written with {record.name}; test the run again")
    outcomes: Outcomes = _KINDS[described["kind"]].from_arrays(mine)
    return outcomes
