"""What makes a configuration the run it is, and what may differ when a trained network is tested."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

# What a run is does not depend on where its files are, on which machine it ran, on what was printed or logged
# meanwhile, or on what its tests are.
_MACHINE_KEYS = {
    "": {
        "config",
        "diagnostics",
        "run_dir",
        "ckpt_path",
        "weights_only",
        "verbose",
        "return_predictions",
        "format",
        "score_threshold",
    },
    "data": {
        "root",
        "num_workers",
        "on_device",
        "download",
        "cache",
        "cache_dir",
        "pin_memory",
        "test_batch_size",
        "test_corruption",
        "test_noise",
    },
    "model": {"test_attack"},
    "trainer": {
        "accelerator",
        "barebones",
        "callbacks",
        "default_root_dir",
        "enable_autolog_hparams",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "fast_dev_run",
        "limit_predict_batches",
        "limit_test_batches",
        "log_every_n_steps",
        "logger",
        "plugins",
        "profiler",
        "strategy",
    },
}

CONDITION_KEYS = ("data.test_corruption", "data.test_noise", "model.test_attack")
"""The settings that decide what a test measures: the axes that ``test:`` of a study may have.

A new kind of test (a corruption, a precision, a resolution) is a setting of its data module, module or trainer that is
named here; if it has no meaning for training, it is among the keys above, too.
"""

# A trained network may be tested with other values of these, which decide how a test is run.
_EXECUTION_KEYS = {
    "model.channels_last",
    "model.compile",
    "model.cuda_graph",
    "model.per_class",
    "model.backend",
    "data.batch_size",
    "trainer.benchmark",
    "trainer.deterministic",
    "trainer.devices",
    "trainer.inference_mode",
    "trainer.num_nodes",
}


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a resolved configuration the run it is: all but paths, machine, display and test settings."""
    kept: dict[str, Any] = {}
    for section, value in config.items():
        if section in _MACHINE_KEYS[""]:
            continue
        machine = _MACHINE_KEYS.get(section, set())
        if isinstance(value, Mapping) and machine:
            value = _without(value, machine)
            if isinstance(value.get("init_args"), Mapping):
                value["init_args"] = _without(value["init_args"], machine)
        kept[section] = value
    return kept


def _without(section: Mapping[str, Any], machine: set[str]) -> dict[str, Any]:
    """Leave machine settings out; `root: embedded` is not a path but another data set."""
    return {key: item for key, item in section.items() if key not in machine or (key == "root" and item == "embedded")}


def without_unset(value: Any) -> Any:
    """Leave out what is null or false, and sections of nothing else, at any depth.

    So another release of torch, Lightning or this package, with one more switch that is off, makes no other run.
    """
    if not isinstance(value, Mapping):
        return value
    kept = {key: without_unset(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None and item is not False and item != {}}


def config_hash(config: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the configuration's :func:`identity`; key order and unset keys do not matter."""
    text = json.dumps(without_unset(identity(config)), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a configuration by the keys that the command line knows them by (without ``init_args``)."""
    for key, value in config.items():
        path = prefix if key == "init_args" and prefix else f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value and path not in CONDITION_KEYS:
            yield from leaves(value, path)
        else:
            yield path, value


def conditions(
    config: Mapping[str, Any], trained: Mapping[str, Any], changed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the conditions of a test: the :data:`CONDITION_KEYS` that are set and not as in training.

    Args:
        config: the resolved configuration of the test.
        trained: that of the training.
        changed: some of the conditions that take the place of the configuration's.
    """
    in_training = dict(leaves(identity(trained)))
    return {
        key: value
        for key, value in {**dict(leaves(config)), **(changed or {})}.items()
        if key in CONDITION_KEYS and value is not None and value != in_training.get(key)
    }


def contradictions(
    config: Mapping[str, Any], trained: Mapping[str, Any], *, resuming: bool
) -> list[tuple[str, Any, Any]]:
    """Return (key, asked, trained) of the settings in which a command contradicts the training of its checkpoint.

    Args:
        config: the resolved configuration of the command.
        trained: that of the training.
        resuming: whether the command resumes training, for which nothing but the length may differ; else it tests.
    """
    allowed = {"trainer.max_epochs", "trainer.max_time"} if resuming else {*_EXECUTION_KEYS, *CONDITION_KEYS}
    asked, told = (dict(leaves(without_unset(identity(part)))) for part in (config, trained))
    return [
        (key, asked.get(key), told.get(key))
        for key in dict.fromkeys([*asked, *told])
        if asked.get(key) != told.get(key) and key not in allowed
    ]
