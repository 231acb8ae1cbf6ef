"""The record of a run: its schema. :mod:`lpflu_bench.record_files` reads and writes it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, TypedDict

SCHEMA = 2
FILE_NAME = "record.json"
EXPORTED = "exported"
"""The folder beside a run's record that ``lpflu-bench deploy`` writes its files into."""

Status = Literal["fitted", "interrupted", "failed", "partial", "finished"]
"""What became of a run.

``fitted``: trained as configured, not tested yet. ``interrupted``: training was stopped by Ctrl-C, a signal or
``max_time``. ``failed``: it stopped on an error. ``partial``: trained or tested with less than was configured or is
there (``fast_dev_run``, ``limit_test_batches``, fewer epochs). ``finished``: trained and tested in full.
"""
Weights = Literal["raw", "averaged"]
WEIGHTS: tuple[Weights, ...] = ("raw", "averaged")


class Code(TypedDict):
    """The sources that a process had imported."""

    package: str | None
    """Hash of this package's sources."""
    commit: str | None
    """The commit of a clean checkout, ``modified``, or None for an installed package."""
    activation: str | None
    """Hash of the file of an activation function of the user's own."""


class Session(TypedDict):
    """One ``fit`` of a training."""

    started_at: str
    finished_at: str | None
    """The end of its last whole epoch; what came after is trained again by the next session."""


class Trained(TypedDict):
    """What was trained, and how. It travels in the checkpoint; no command that tests changes it."""

    task: str
    kind: str
    network: str
    activation: str
    activation_settings: dict[str, Any]
    seed: int
    class_names: NotRequired[list[str] | None]
    """Names of the classes, in the order of the network's outputs; None if the data names none."""
    parameters: int | None
    epochs: int
    steps: int
    incomplete: str | None
    """Why it is less than was configured; None if it is all."""
    batch_size: int | None
    """Images in a batch on each device."""
    total_batch_size: int | None
    """Images in an optimizer step: on all devices, in all accumulated batches."""
    devices: int
    precision: str
    optimizer: str | None
    seconds: float
    images_per_second: float | None
    peak_memory_mb: float | None
    resumed: int
    curve: list[dict[str, float]]
    """One entry for each epoch: ``epoch``, ``step``, and what was logged as ``train_*`` and ``val_*``."""
    validation_conditions: dict[str, Any]
    """As :attr:`Tested.conditions`, of the validation."""
    diagnostics: dict[str, Any] | None
    placement: dict[str, Any]
    config: dict[str, Any]
    config_hash: str
    code: Code
    environment: dict[str, Any]
    started_at: str | None
    finished_at: str | None
    sessions: NotRequired[list[Session]]
    """When it was trained: several of a resumed training, which ran in none of the time between them."""


class OutcomesFile(TypedDict):
    """Which of the outcomes in the file beside the record are a test's (:mod:`lpflu_bench.outcomes`)."""

    kind: str
    key: str
    hash: str


class Tested(TypedDict):
    """One test of what was trained: the scores of one kind of weights under one set of conditions."""

    weights: Weights
    conditions: dict[str, Any]
    """The settings that make it another test than the plain one, such as ``data.test_noise``."""
    metrics: dict[str, float]
    num_samples: int
    incomplete: str | None
    """Why it is less than the whole test set; None if it is all."""
    batch_size: int | None
    devices: int
    precision: str
    seconds: float
    images_per_second: float | None
    peak_memory_mb: float | None
    outcomes: OutcomesFile | None
    code: Code
    environment: dict[str, Any]
    finished_at: str


class ScoreFields(TypedDict):
    """The fields of :class:`lpflu_bench.scores.Score`."""

    name: str
    direction: Literal["lower", "higher"]
    label: str
    unit: str
    share: bool
    main: bool


class SpreadFields(TypedDict):
    """The fields of :class:`lpflu_bench.speed.timing.Spread`."""

    median: float
    low: float
    high: float


class LatencyFields(TypedDict):
    """The fields of :class:`lpflu_bench.evaluation.latency.Latency`."""

    batch_size: int
    threads: int
    seconds: SpreadFields
    relu_seconds: SpreadFields
    ratio_to_relu: SpreadFields


class DeployedForm(TypedDict):
    """One form of a deployed network."""

    form: str
    """``checkpoint``, ``onnx`` or ``int8``."""
    file: str
    """Below the run's folder; of the checkpoint the program that ``torch.export`` wrote."""
    bytes: int
    scores: dict[str, float]
    """On the whole test set."""
    difference: float
    """Largest difference of an output from the checkpoint's on test images, over the largest output. Of the checkpoint
    itself: of the program that ``torch.export`` wrote."""
    nodes: int | None
    """Of the graph."""
    activation_nodes: float | None
    """Those in an activation layer, mean over the layers."""
    signal_to_noise: dict[str, float]
    """Of the activation layers' outputs against the float network, in dB, by layer."""
    latencies: list[LatencyFields]
    """At batch 1 and the given one, on one thread and on all."""


class Deployed(TypedDict):
    """What ``lpflu-bench deploy`` measured."""

    forms: list[DeployedForm]
    """The checkpoint, ONNX and INT8, in this order."""
    outside: str
    """What the exported graph leaves to the program around it; empty for nothing."""
    settings: dict[str, Any]
    """Of the measurement."""
    versions: dict[str, str]
    """Of what exported and ran it."""
    load: float
    """The machine's load average over its cores, after latency was measured."""


class Attempt(TypedDict):
    """One attempt of a study to make a run."""

    started_at: str
    finished_at: str | None
    outcome: str
    """``running``, ``finished``, ``failed``, ``interrupted`` or ``lost``."""
    error: str | None


class Record(TypedDict):
    """The record of a run."""

    status: Status
    written_at: str
    error: str | None
    failed_at: dict[str, int] | None
    """``epoch`` and ``step`` at which it failed or was interrupted."""
    trained: Trained
    scores: list[ScoreFields]
    """What the module reports."""
    tested: list[Tested]
    cell: NotRequired[dict[str, Any]]
    """What the run is called in its study."""
    attempts: NotRequired[list[Attempt]]
    deployed: NotRequired[Deployed]


LAYERS = frozenset({"layers", "kept_layers"})
"""What a record lists layer by layer, in ``placement`` and ``diagnostics``."""


def blank(*, config: Mapping[str, Any], config_hash: str, seed: int, labels: Mapping[str, Any], at: str) -> Record:
    """Return the record of a run that died without leaving one.

    Args:
        config: its identity.
        config_hash: its hash.
        seed: its seed.
        labels: ``task``, ``network`` and ``activation``.
        at: when.
    """
    trained: Trained = {
        "task": str(labels.get("task")),
        "kind": "",
        "network": str(labels.get("network")),
        "activation": str(labels.get("activation")),
        "activation_settings": {},
        "seed": seed,
        "class_names": None,
        "parameters": None,
        "epochs": 0,
        "steps": 0,
        "incomplete": "nothing is known",
        "batch_size": None,
        "total_batch_size": None,
        "devices": 0,
        "precision": "",
        "optimizer": None,
        "seconds": 0.0,
        "images_per_second": None,
        "peak_memory_mb": None,
        "resumed": 0,
        "curve": [],
        "validation_conditions": {},
        "diagnostics": None,
        "placement": {},
        "config": dict(config),
        "config_hash": config_hash,
        "code": {"package": None, "commit": None, "activation": None},
        "environment": {},
        "started_at": None,
        "finished_at": None,
    }
    return {
        "status": "failed",
        "written_at": at,
        "error": None,
        "failed_at": None,
        "trained": trained,
        "scores": [],
        "tested": [],
    }


def by_condition(record: Record) -> Iterator[Record]:
    """Yield the record once for each set of conditions it was tested under, with those tests alone.

    The scores of raw and of averaged weights under the same conditions stay together. A run that was not tested is
    yielded as it is.
    """
    groups: dict[str, list[Tested]] = {}
    for test in record["tested"]:
        groups.setdefault(json.dumps(test["conditions"], sort_keys=True), []).append(test)
    if len(groups) <= 1:
        yield record
        return
    for tests in groups.values():
        yield {**record, "tested": tests}


def metrics(record: Record, weights: Weights = "raw") -> Mapping[str, float]:
    """Return the scores of the first test of these weights; empty if there is none."""
    return next((test["metrics"] for test in record["tested"] if test["weights"] == weights), {})
