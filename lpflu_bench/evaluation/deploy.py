"""Export a trained network, quantise it, score both on the test set and time them beside the same network with ReLU."""

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn

from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.environment import load_per_core, usable_cores
from lpflu_bench.evaluation.cores import Core, core_of, outputs_of, with_relu
from lpflu_bench.evaluation.latency import Latency, Runner, measure_latency, torch_runner
from lpflu_bench.evaluation.onnx_export import export_onnx, export_program, nodes_of_layers, require_onnx
from lpflu_bench.evaluation.onnx_runtime import OnnxNetwork, make_session
from lpflu_bench.evaluation.quantize import quantize, signal_to_noise
from lpflu_bench.evaluation.trained_run import TrainedRun, score
from lpflu_bench.files import replaced_atomically
from lpflu_bench.records import EXPORTED, Deployed, DeployedForm, LatencyFields

_TOLERANCE = 1e-3
_CALIBRATION_BATCH = 32


@dataclass(frozen=True)
class Settings:
    """How a run is deployed.

    Attributes:
        batch_size: at which latency is measured, besides 1.
        calibration_images: training images that the ranges of INT8 come from.
        repeats: rounds of the latency measurement.
    """

    batch_size: int = 32
    calibration_images: int = 256
    repeats: int = 50


@dataclass(frozen=True)
class Files:
    """A network's exported files."""

    checkpoint: Path
    onnx: Path
    int8: Path


def deploy(run: TrainedRun, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Deployed:
    """Export a run into its folder ``exported/``, named by the checkpoint's hash, and measure every form.

    Raises:
        UserError: a package is missing, or the network cannot be exported.
        RuntimeError: an exported network's outputs are not the checkpoint's.
    """
    require_onnx()
    paths = [placement.path for placement in run.module.placement.placements]
    core = core_of(run.module.network, run.module.kind)
    inputs = core.inputs(_test_images(run.data, settings.batch_size))
    calibration = [core.inputs(images) for images in _calibration_batches(run.data, settings.calibration_images)]
    twin = copy.deepcopy(core.module)
    with_relu(twin, paths)

    progress("exporting")
    names = core.output_names
    files = _export(core.module, names, run.folder / EXPORTED, run.digest, inputs, calibration, paths)
    with tempfile.TemporaryDirectory() as scratch:
        progress("exporting its twin with ReLU")
        twin_files = _export(twin, names, Path(scratch), "relu", inputs, calibration, paths)
        progress("measuring latency")
        latencies = _latencies((core.module, files), (twin, twin_files), inputs, settings)
        load = load_per_core()

    networks = {
        "checkpoint": torch.export.load(files.checkpoint).module(),
        "onnx": OnnxNetwork(make_session(files.onnx)),
        "int8": OnnxNetwork(make_session(files.int8)),
    }
    rows = []
    for form, network in networks.items():
        progress(f"scoring {form}")
        file: Path = getattr(files, form)
        difference = _difference(core.module, network, inputs)
        if form != "int8" and not difference < _TOLERANCE:
            raise RuntimeError(f"{file}: outputs differ from the checkpoint's by {difference:.3g} of the largest")
        nodes, activation_nodes = (None, None) if form == "checkpoint" else _node_counts(file, paths)
        rows.append(
            DeployedForm(
                form=form,
                file=str(file.relative_to(run.folder)),
                bytes=file.stat().st_size,
                scores=_scores(run, core, None if form == "checkpoint" else network),
                difference=difference,
                nodes=nodes,
                activation_nodes=activation_nodes,
                signal_to_noise=signal_to_noise(files.onnx, files.int8, inputs, paths) if form == "int8" else {},
                latencies=[cast(LatencyFields, asdict(latency)) for latency in latencies[form]],
            )
        )
    return Deployed(forms=rows, outside=core.outside, settings=asdict(settings), versions=_versions(), load=load)


def is_deployed(run: TrainedRun, settings: Settings) -> bool:
    """Return whether a run's record has this checkpoint's deployment, measured like this by these packages."""
    deployed = run.record.get("deployed")
    return (
        deployed is not None
        and (deployed["settings"], deployed["versions"]) == (asdict(settings), _versions())
        and all(Path(form["file"]).name.startswith(run.digest) for form in deployed["forms"])
        and all((run.folder / form["file"]).is_file() for form in deployed["forms"])
    )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")}


def _export(
    module: nn.Module,
    output_names: Sequence[str],
    folder: Path,
    stem: str,
    inputs: Tensor,
    calibration: Sequence[Tensor],
    paths: Sequence[str],
) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / f"{stem}.pt2", folder / f"{stem}.onnx", folder / f"{stem}.int8.onnx")
    program = export_program(module, inputs)
    with replaced_atomically(files.checkpoint) as temporary, temporary.open("wb") as stream:
        torch.export.save(program, stream)
    export_onnx(program, output_names, files.onnx)
    quantize(files.onnx, files.int8, calibration, paths)
    return files


def _test_images(data: BenchDataModule, count: int) -> Tensor:
    """Return the first test images, two or more (an export that has seen one image takes no others)."""
    return _images(data, data.test_set, range(min(max(count, 2), data.test_size)))


def _calibration_batches(data: BenchDataModule, count: int) -> list[Tensor]:
    """Return training images from all over the set, without augmentation, in batches."""
    count = min(count, data.train_size)
    indices = [number * data.train_size // count for number in range(count)]
    starts = range(0, count, _CALIBRATION_BATCH)
    return [_images(data, data.train_set, indices[start : start + _CALIBRATION_BATCH]) for start in starts]


def _images(data: BenchDataModule, dataset: Any, indices: Sequence[int]) -> Tensor:
    images: Tensor = data.prepare_batch(data.collate(dataset.__getitems__(list(indices))))[0]
    return images.contiguous()


def _difference(module: nn.Module, other: nn.Module, inputs: Tensor) -> float:
    """Return the largest difference over the largest output, at the batch and at one image more than half of it."""
    worst = 0.0
    for batch in (inputs, inputs[: len(inputs) // 2 + 1]):
        for ours, theirs in zip(outputs_of(module, batch), outputs_of(other, batch), strict=True):
            worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max()))
    return worst


def _node_counts(file: Path, paths: Sequence[str]) -> tuple[int, float]:
    import onnx

    model = onnx.load(file)
    layers = nodes_of_layers(model, paths)
    return len(model.graph.node), fmean(len(nodes) for nodes in layers.values()) if layers else 0.0


def _scores(run: TrainedRun, core: Core, network: nn.Module | None) -> dict[str, float]:
    """Return the test scores with a network in place of the core; None for the checkpoint itself."""
    if network is None:
        return score(run.module, run.data)
    own = run.module.network
    run.module.network = core.network_with(network)
    try:
        return score(run.module, run.data)
    finally:
        run.module.network = own


def _latencies(
    own: tuple[nn.Module, Files], twin: tuple[nn.Module, Files], inputs: Tensor, settings: Settings
) -> dict[str, list[Latency]]:
    measured: dict[str, list[Latency]] = {"checkpoint": [], "onnx": [], "int8": []}
    for threads in sorted({1, usable_cores()}):
        runners = [_runners(module, files, threads) for module, files in (own, twin)]
        for batch_size in sorted({1, min(settings.batch_size, len(inputs))}):
            pairs = {form: (runners[0][form], runners[1][form]) for form in measured}
            timed = measure_latency(pairs, inputs[:batch_size], threads, repeats=settings.repeats)
            for form, latency in timed.items():
                measured[form].append(latency)
    return measured


def _runners(module: nn.Module, files: Files, threads: int) -> dict[str, Runner]:
    return {
        "checkpoint": torch_runner(module, threads),
        "onnx": OnnxNetwork(make_session(files.onnx, threads)),
        "int8": OnnxNetwork(make_session(files.int8, threads)),
    }
