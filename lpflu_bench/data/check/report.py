"""Counts over the samples of each split, and what is wrong with them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from torch.utils.data import Dataset

from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.check.samples import Sample, describe
from lpflu_bench.data.image_files import in_threads
from lpflu_bench.data.labelled_images import NoisyImages
from lpflu_bench.errors import UserError

_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """Something that is wrong or odd.

    Attributes:
        level: ``error`` if training or testing would fail.
        text: what it is.
        examples: some of the places.
        count: how many there are.
    """

    level: Literal["error", "warning"]
    text: str
    examples: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class DataReport:
    """What is in a data set.

    Attributes:
        root: its folder.
        kind: the data module's name.
        class_names: of the classes.
        splits: counts by split.
        findings: errors first.
    """

    root: str
    kind: str
    class_names: list[str]
    splits: dict[str, dict[str, Any]]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether a training would run."""
        return all(finding.level != "error" for finding in self.findings)


def split_sets(module: BenchDataModule) -> dict[str, Dataset[Any]]:
    """Return the different sets of a module that is set up, without noise."""
    sets = {"training": module.train_set, "validation": module.val_set, "test": module.test_set}
    if module.val_set is module.test_set:
        del sets["validation"]
    return {name: part.clean if isinstance(part, NoisyImages) else part for name, part in sets.items()}


def check(module: BenchDataModule) -> DataReport:
    """Set a data module up as for a training, and decode all of it."""
    kind, root = type(module).__name__, str(module.root)
    try:
        module.setup("fit")
    except UserError as error:
        return DataReport(root, kind, getattr(module, "class_names", []), {}, [Finding("error", str(error))])
    samples = {}
    for name, dataset in split_sets(module).items():
        indices = range(len(dataset))  # type: ignore[arg-type]
        samples[name] = in_threads(partial(describe, dataset), indices, f"decoding {len(indices)} {name} images")
    names = module.class_names
    splits = {name: _counts(part, names) for name, part in samples.items()}
    findings = [
        *_official_size(module),
        *_from_samples(samples),
        *_duplicates(samples),
        *(
            Finding("warning", f"classes without one sample in the {name} set: {', '.join(missing)}")
            for name, part in splits.items()
            if (missing := [each for each, count in part["classes"].items() if not count])
        ),
    ]
    return DataReport(root, kind, names, splits, sorted(findings, key=lambda finding: finding.level))


def _counts(samples: Sequence[Sample], class_names: Sequence[str]) -> dict[str, Any]:
    by_class: Counter[int] = Counter()
    images_with: Counter[int] = Counter()
    for sample in samples:
        by_class.update(sample.counts)
        images_with.update(sample.counts.keys())
    sizes = [sample.size for sample in samples if sample.size]
    boxes = np.array([box for sample in samples for box in sample.boxes])
    return {
        "images": len(samples),
        "without_labels": sum(not sample.counts for sample in samples),
        "classes": {name: by_class[index] for index, name in enumerate(class_names)},
        "images_with_class": {name: images_with[index] for index, name in enumerate(class_names)},
        "image_sizes": dict(Counter(f"{width}x{height}" for width, height in sizes).most_common(8)),
        "different_image_sizes": len(set(sizes)),
        "box_sides": _quantiles(boxes.min(1)) | {"of": "shorter side, pixels"} if len(boxes) else None,
        "exif_orientations": dict(sorted(Counter(sample.orientation for sample in samples).items())),
        "bit_depths": dict(sorted(Counter(sample.bits for sample in samples if sample.size).items())),
    }


def _quantiles(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    shares = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}
    return {name: round(float(np.quantile(values, share)), 1) for name, share in shares.items()}


def _official_size(module: BenchDataModule) -> list[Finding]:
    sizes = (module.train_size, module.test_size)
    if module.official_sizes in (None, sizes):
        return []
    assert module.official_sizes is not None
    train, test = module.official_sizes
    return [
        Finding(
            "warning",
            f"the official set has {train:,} training and {test:,} test images: this one is another or not whole",
        )
    ]


def _from_samples(samples: Mapping[str, Sequence[Sample]]) -> list[Finding]:
    """Return errors one by one, and warnings of one kind (what is behind the file's name) together."""
    findings = []
    for name, part in samples.items():
        errors = [error for sample in part for error in sample.errors]
        findings += [Finding("error", f"{name}: {error}") for error in errors[: 4 * _EXAMPLES]]
        if len(errors) > 4 * _EXAMPLES:
            findings.append(Finding("error", f"{name}: {len(errors) - 4 * _EXAMPLES} more files", count=len(errors)))
        kinds: dict[str, list[str]] = defaultdict(list)
        for sample in part:
            for warning in sample.warnings:
                place, colon, text = warning.rpartition(": ")
                kinds[text if colon else warning].append(place or sample.place)
        findings += [
            Finding("warning", f"{name}: {text}", tuple(places[:_EXAMPLES]), len(places))
            for text, places in kinds.items()
        ]
        bits = Counter(sample.bits for sample in part if sample.size)
        if bits[16]:
            findings.append(
                Finding("warning", f"{name}: 16-bit images, of which the high byte is used", count=bits[16])
            )
    return findings


def _duplicates(samples: Mapping[str, Sequence[Sample]]) -> list[Finding]:
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, part in samples.items():
        for sample in part:
            if sample.digest:
                places[sample.digest][name].append(sample.place)
    findings = []
    within: dict[str, list[str]] = defaultdict(list)
    across: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for by_split in places.values():
        for name, found in by_split.items():
            within[name] += [f"{found[0]} = {other}" for other in found[1:]]
        if len(by_split) > 1:
            across[tuple(by_split)].append(" = ".join(found[0] for found in by_split.values()))
    for names, pairs in across.items():
        text = f"leakage: the same image in the {' and the '.join(names)} set"
        findings.append(Finding("warning", text, tuple(pairs[:_EXAMPLES]), len(pairs)))
    findings += [
        Finding("warning", f"{name}: images that are there more than once", tuple(pairs[:_EXAMPLES]), len(pairs))
        for name, pairs in within.items()
        if pairs
    ]
    return findings
