"""Export by torch.export and by torch.onnx's dynamo exporter, and what of the ONNX graph belongs to which layer."""

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from lpflu_bench.errors import UserError
from lpflu_bench.files import replaced_atomically

if TYPE_CHECKING:
    import onnx

INPUT_NAME = "images"
_SCOPES = "pkg.torch.onnx.name_scopes"


def require_onnx() -> None:
    """Check that the optional packages are installed.

    Raises:
        UserError: names the extra.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} not installed: pip install 'lpflu-bench[deploy]'")


def export_program(module: nn.Module, inputs: Tensor) -> ExportedProgram:
    """Return a network as an exported program whose batch size is free.

    Args:
        module: in evaluation mode.
        inputs: a batch of at least two, which stands for all.

    Raises:
        UserError: the network's control flow depends on values, or a layer cannot be traced; says where.
    """
    try:
        return torch.export.export(module, (inputs,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    except Exception as error:  # torch.export raises what it meets: a dozen kinds
        where = re.findall(r'File "([^"]+)", line (\d+)', str(error))
        place = f", at {where[-1][0]}:{where[-1][1]}" if where else ""
        gist = str(error).strip().splitlines()[0]
        raise UserError(f"torch.export cannot export the network{place}: {type(error).__name__}: {gist}") from error


def export_onnx(program: ExportedProgram, output_names: Sequence[str], path: Path) -> None:
    """Write a program as ONNX, its batch size free, weights inside the file.

    Raises:
        UserError: the exporter lacks an operator; says which, in which layer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own internals
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[INPUT_NAME],
                output_names=list(output_names),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )
        except torch.onnx.OnnxExporterError as error:
            raise UserError(_missing_operator(error, program)) from error
    assert exported is not None
    with replaced_atomically(path) as temporary:
        exported.save(temporary, external_data=False)


def _missing_operator(error: BaseException, program: ExportedProgram) -> str:
    text = str(error)
    operator = re.search(r"OpOverload\(op='([^']+)'", text)
    if operator is None:
        return f"the ONNX exporter failed: {text.strip().splitlines()[0]}"
    return (
        f"the ONNX exporter lacks the operator {operator[1]}{_layer_of(operator[1], program)}; "
        "write the layer with operators it has"
    )


def _layer_of(operator: str, program: ExportedProgram) -> str:
    """Return in words the first layer that calls an operator; the exporter may name another namespace."""
    name = operator.rpartition(".")[2]
    for node in program.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if node.op == "call_function" and stack and str(node.target).split(".")[1].endswith(name):
            path, kind = list(stack.values())[-1]
            kind = kind if isinstance(kind, str) else kind.__name__
            return f", needed by layer {path or 'the network itself'} ({kind.rpartition('.')[2]})"
    return ""


def scopes(node: "onnx.NodeProto") -> list[str]:
    """Return the paths of the modules that a node of an exported graph comes from, outermost first."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            return [str(path) for path in ast.literal_eval(entry.value)]
    return []


def nodes_of_layers(model: "onnx.ModelProto", paths: Iterable[str]) -> dict[str, list["onnx.NodeProto"]]:
    """Return the nodes that come from each of the given layers of the network, in the graph's order."""
    found: dict[str, list[Any]] = {path: [] for path in paths}
    for node in model.graph.node:
        for path in scopes(node):
            if path in found:
                found[path].append(node)
                break
    return found


def outputs_of_layers(model: "onnx.ModelProto", paths: Iterable[str]) -> dict[str, str]:
    """Return the name of the tensor that each of the given layers hands to the rest of the network."""
    outputs = {}
    for path, nodes in nodes_of_layers(model, paths).items():
        inside = {id(node) for node in nodes}
        read_outside = {name for node in model.graph.node if id(node) not in inside for name in node.input}
        read_outside |= {output.name for output in model.graph.output}
        handed_on = [name for node in nodes for name in node.output if name in read_outside]
        if handed_on:
            outputs[path] = handed_on[-1]
    return outputs
