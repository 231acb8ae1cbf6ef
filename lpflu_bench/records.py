"""The record of a run: its schema, and how it is read and written. One JSON file, replaced in one step."""

import functools
import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast, get_args, get_type_hints, is_typeddict

import orjson

from lpflu_bench.errors import UserError
from lpflu_bench.files import cannot_write, write_text_atomically

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
_HEAD = re.compile(rb'\{\n "schema": (\d+),\n "hash": "([0-9a-f]{32})",\n')


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def write_record(record: Record, path: Path) -> None:
    """Write a record, with a hash of its content, so that a reader sees the old file or the new one, never a part.

    Raises:
        UserError: the file cannot be written (a full disk, no permission); what was there before is untouched.
    """
    body = json.dumps(record, indent=1, default=str).removeprefix("{\n") + "\n"
    try:
        write_text_atomically(path, f'{{\n "schema": {SCHEMA},\n "hash": "{_digest(body.encode())}",\n{body}')
    except OSError as error:
        raise cannot_write(path, error) from error


def read_record(path: Path, *, brief: bool = False) -> Record:
    """Read one record and check that it is what was written.

    Args:
        path: the file.
        brief: leave out what is long: of the curve all but the last epoch, and whatever is listed layer by layer.

    Raises:
        UserError: not there, not a record of this suite and version, or changed since it was written.

    Warns:
        UserWarning: what it says of a deployment is another version's, and left out.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise UserError(f"cannot read the record {path}: {error.strerror}") from error
    try:
        record = _parsed(content)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a record: not UTF-8; delete it or repeat the run") from error
    except ValueError as error:
        raise UserError(f"{path} is not a record: invalid JSON ({error}); delete it or repeat the run") from error
    if not isinstance(record, dict) or "schema" not in record:
        raise UserError(f"{path} is not a record of lpflu-bench: it has no key 'schema'; delete it or repeat the run")
    if record["schema"] != SCHEMA:
        raise UserError(
            f"{path} has schema {record['schema']}, this version of lpflu-bench reads {SCHEMA}; repeat the run"
        )
    head = _HEAD.match(content)
    if head is None or head[2].decode() != _digest(content[head.end() :]):
        raise UserError(f"{path} was changed after it was written: its hash is not that of its content; repeat the run")
    lacks = lacking(record, Record)
    if lacks.startswith("deployed."):  # the run itself is there
        warnings.warn(
            f"{path} lacks '{lacks}': deployed by another version; run `lpflu-bench deploy` again", stacklevel=2
        )
        del record["deployed"]
    elif lacks:
        raise UserError(f"{path} lacks '{lacks}': another version of lpflu-bench wrote it; repeat the run")
    del record["schema"], record["hash"]
    if brief:
        trained = record["trained"]
        trained["curve"] = trained["curve"][-1:]
        for listed in (trained["placement"], trained["diagnostics"] or {}):
            for key in LAYERS & listed.keys():
                del listed[key]
    return cast(Record, record)


@functools.cache
def _parts(schema: type) -> tuple[tuple[str, ...], tuple[tuple[str, type], ...]]:
    """Return the keys that a part of a record must have, and those that hold parts, with their schemas."""
    parts = []
    for key, hint in get_type_hints(schema).items():
        nested = next((kind for kind in (hint, *get_args(hint)) if is_typeddict(kind)), None)
        if nested is not None:
            parts.append((key, nested))
    return tuple(sorted(schema.__required_keys__)), tuple(parts)  # type: ignore[attr-defined]


def lacking(part: Any, schema: type) -> str:
    """Return the first key that a part of a record lacks, such as ``trained.code.commit``; empty if none."""
    required, parts = _parts(schema)
    if not isinstance(part, dict):
        return required[0]
    for key in required:
        if key not in part:
            return key
    for key, nested in parts:
        value = part.get(key)
        for item in value if isinstance(value, list) else [value] if value is not None else []:
            if inner := lacking(item, nested):
                return f"{key}.{inner}"
    return ""


def _content(path: Path) -> bytes:
    """Return a file's bytes with the line ends it was written with: a checkout on Windows may have others."""
    content = path.read_bytes()
    return content.replace(b"\r\n", b"\n") if b"\r" in content else content  # a copy costs as much as its hash


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # also for NaN, which the curve of a diverged run has
        return json.loads(content.decode())


def record_hash(path: Path) -> str:
    """Return the hash of the content of a record that :func:`read_record` accepts: equal for copies alone."""
    head = _HEAD.match(_content(path))
    return head[2].decode() if head else ""


def find_records(path: Path) -> Iterator[Path]:
    """Yield the record files below a folder in sorted order, or the file itself.

    Those are the ``record.json`` of run folders and the ``records/*.json`` of results.

    Raises:
        UserError: the path does not exist.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted({*path.rglob(FILE_NAME), *path.rglob("records/*.json")})
    else:
        raise UserError(f"{path} does not exist; name a run folder, a folder of runs or a {FILE_NAME}")


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
