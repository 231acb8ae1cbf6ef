"""Put an activation function into a built network, and report where it went."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

from rich.table import Table
from torch import nn

from lpflu_bench.activations.leaky import Leaky
from lpflu_bench.activations.nonlinearities import is_gate, is_main_nonlinearity
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.errors import UserError

EmaScope = Literal["residual", "all", "none"]
Block = Literal["residual", "dense", "shuffle", "feed-forward"]

BLOCK_RULES: dict[str, tuple[Block, str | None]] = {
    "torchvision.models.convnext.CNBlock": ("residual", None),
    "torchvision.models.densenet._DenseLayer": ("dense", None),
    "torchvision.models.efficientnet.FusedMBConv": ("residual", "use_res_connect"),
    "torchvision.models.efficientnet.MBConv": ("residual", "use_res_connect"),
    "torchvision.models.maxvit.MBConv": ("residual", None),
    "torchvision.models.maxvit.PartitionAttentionLayer": ("residual", None),
    "torchvision.models.mnasnet._InvertedResidual": ("residual", "apply_residual"),
    "torchvision.models.mobilenetv2.InvertedResidual": ("residual", "use_res_connect"),
    "torchvision.models.mobilenetv3.InvertedResidual": ("residual", "use_res_connect"),
    "torchvision.models.regnet.ResBottleneckBlock": ("residual", None),
    "torchvision.models.resnet.BasicBlock": ("residual", None),
    "torchvision.models.resnet.Bottleneck": ("residual", None),
    "torchvision.models.shufflenetv2.InvertedResidual": ("shuffle", None),
    "torchvision.models.swin_transformer.SwinTransformerBlock": ("residual", None),
    "torchvision.models.vision_transformer.EncoderBlock": ("residual", None),
    "segmentation_models_pytorch.encoders._efficientnet.MBConvBlock": ("residual", "_has_drop_connect"),
    "segmentation_models_pytorch.encoders._inceptionresnetv2.Block17": ("residual", None),
    "segmentation_models_pytorch.encoders._inceptionresnetv2.Block35": ("residual", None),
    "segmentation_models_pytorch.encoders._inceptionresnetv2.Block8": ("residual", None),
    "segmentation_models_pytorch.encoders._senet.Bottleneck": ("residual", None),
    "segmentation_models_pytorch.encoders._xception.Block": ("residual", None),
    "segmentation_models_pytorch.encoders.mix_transformer.Block": ("residual", None),
    "segmentation_models_pytorch.encoders.mobileone.MobileOneBlock": ("residual", "rbr_skip"),
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": ("residual", "has_skip"),
    "timm.models._efficientnet_blocks.EdgeResidual": ("residual", "has_skip"),
    "timm.models._efficientnet_blocks.InvertedResidual": ("residual", "has_skip"),
    "timm.models._efficientnet_blocks.UniversalInvertedResidual": ("residual", "has_skip"),
    "timm.models.convnext.ConvNeXtBlock": ("residual", None),
    "timm.models.regnet.Bottleneck": ("residual", None),
    "timm.models.res2net.Bottle2neck": ("residual", None),
    "timm.models.resnest.ResNestBottleneck": ("residual", None),
    "timm.models.resnet.BasicBlock": ("residual", None),
    "timm.models.resnet.Bottleneck": ("residual", None),
    "timm.models.sknet.SelectiveKernelBasic": ("residual", None),
    "timm.models.sknet.SelectiveKernelBottleneck": ("residual", None),
}
"""Class of a block -> (kind of its connection, attribute that says whether it has one; None: always).

Subclasses count as the class they derive from. A block that isn't listed counts as feed-forward: add your own here.
"""

_LOOKS_LIKE_ONE = re.compile("relu|[gse]elu|silu|swish|mish", re.IGNORECASE)

SQUEEZE_EXCITATION = frozenset({"SqueezeExcitation", "SqueezeExcite", "SEModule", "SEBlock", "SCSEModule"})
"""Class names of squeeze-and-excitation modules in torchvision, timm and smp."""


@dataclass(frozen=True)
class Placement:
    """One place where the function was put."""

    path: str
    """Dotted path of the module in the network."""
    old: str
    """Class that was there."""
    new: str
    """Class that is there now."""
    slope: str | None
    """Form of the negative slope (ema, fixed, trainable) of a leaky function, else None."""
    block: Block
    """Connection of the block around it."""
    squeeze_excitation: bool
    """Whether it is inside a squeeze-and-excitation module."""


class Kept(NamedTuple):
    """A nonlinearity left as it is: a gate, an output, or inside squeeze-and-excitation where that is excluded."""

    path: str
    type: str


@dataclass(frozen=True)
class PlacementReport:
    """Where a function went: every replaced and every remaining nonlinearity of the network."""

    placements: list[Placement]
    kept: list[Kept]

    def counts(self) -> dict[str, Any]:
        """Return the number of replaced and kept modules, and of slopes by form."""
        slopes = Counter(placement.slope for placement in self.placements if placement.slope is not None)
        return {"replaced": len(self.placements), "kept": len(self.kept), "slopes": dict(sorted(slopes.items()))}

    def summary(self) -> dict[str, Any]:
        """Return the whole report as JSON-able data: :meth:`counts`, and ``layers`` and ``kept_layers`` one by one."""
        return {
            **self.counts(),
            "layers": [asdict(placement) for placement in self.placements],
            "kept_layers": [kept._asdict() for kept in self.kept],
        }

    def table(self) -> Table:
        """Return the report as a table for the terminal."""
        table = Table("module", "was", "is", "slope", "block", title="Placement of the activation function")
        for placement in self.placements:
            block = placement.block + (" (squeeze-and-excitation)" if placement.squeeze_excitation else "")
            table.add_row(placement.path, placement.old, placement.new, placement.slope or "", block)
        for kept in self.kept:
            table.add_row(kept.path, kept.type, "kept", "", "")
        return table


def replace_activations(
    network: nn.Module,
    activation: str | Mapping[str, Any] | Callable[..., Any],
    *,
    ema_scope: EmaScope = "residual",
    squeeze_excitation: bool = True,
) -> PlacementReport:
    """Replace, in place, every main nonlinearity of ``network`` by a new instance of ``activation``.

    Gates (sigmoid, hard-sigmoid) and outputs (softmax, tanh) stay. A leaky function whose slope has the form "ema"
    keeps it inside residual, dense and shuffle blocks and gets a fixed slope (its setting ``value``) elsewhere, as in
    the paper; :data:`BLOCK_RULES` says which blocks are which.

    An instance that is registered in several places becomes one instance for each place. A module that a block's
    ``forward`` calls several times stays one module, with one slope; this package's networks have none.
    Functions written out in a ``forward`` (``F.relu(x)``) are no modules and out of reach here: this package's builders
    look for them (:func:`lpflu_bench.networks.dry_run.require_activation_modules`).

    Args:
        network: the built network, with its own activations.
        activation: what :func:`create_activation` takes: a name, a class path, class_path and init_args, a class.
        ema_scope: where slopes of the form "ema" stay so: in ``residual`` (dense, shuffle) blocks, in ``all`` places, or
            in ``none``.
        squeeze_excitation: whether the nonlinearity inside squeeze-and-excitation is replaced too; its gate never is.

    Raises:
        UserError: the network has no module to replace, or one whose name says that it is an activation function, but
            which isn't known.
    """
    if ema_scope not in get_args(EmaScope):
        raise ValueError(f"ema_scope must be one of {', '.join(get_args(EmaScope))}, not {ema_scope!r}")
    report = PlacementReport([], [])
    for parent, name, old, path, ancestors in list(_places(network)):
        in_squeeze_excitation = any(_is_squeeze_excitation(ancestor) for ancestor in ancestors)
        if is_gate(old) or (in_squeeze_excitation and not squeeze_excitation):
            report.kept.append(Kept(path, type(old).__name__))
            continue
        block = _block(ancestors)
        new = create_activation(activation)
        if isinstance(new, Leaky) and new.slope_mode == "ema":
            keeps_ema = ema_scope == "all" or (ema_scope == "residual" and block != "feed-forward")
            if not keeps_ema:
                new = create_activation(activation, slope="fixed")
        new.train(old.training)
        parent.register_module(name, new)
        slope = new.slope_mode if isinstance(new, Leaky) else None
        report.placements.append(
            Placement(path, type(old).__name__, type(new).__name__, slope, block, in_squeeze_excitation)
        )
    if not report.placements:
        raise UserError(f"{type(network).__name__} has no activation module to replace")
    return report


def _places(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module, str, list[nn.Module]]]:
    """Yield (parent, name, nonlinearity, path, enclosing modules) for each place; a shared parent counts once."""
    for parent_path, parent in network.named_modules():
        if any(is_main_nonlinearity(module) for module in _enclosing(network, parent_path)):
            continue  # a function may be built from others
        for name, child in parent._modules.items():  # named_children() leaves out what is registered twice
            if child is None:
                continue
            path = f"{parent_path}.{name}" if parent_path else name
            if is_main_nonlinearity(child) or is_gate(child):
                yield parent, name, child, path, _enclosing(network, parent_path)
            elif next(child.children(), None) is None and _LOOKS_LIKE_ONE.search(type(child).__name__):
                raise UserError(
                    f"{path} ({type(child).__module__}.{type(child).__name__}) looks like an activation function but "
                    "isn't known: add its class name to MAIN_NAMES in lpflu_bench.activations.nonlinearities"
                )


def _enclosing(network: nn.Module, path: str) -> list[nn.Module]:
    """Return the modules on the way from ``network`` to ``path``, both included, innermost first."""
    names = path.split(".") if path else []
    return [network.get_submodule(".".join(names[:depth])) for depth in range(len(names), -1, -1)]


def _is_squeeze_excitation(module: nn.Module) -> bool:
    return any(base.__name__ in SQUEEZE_EXCITATION for base in type(module).__mro__)


def _block(ancestors: list[nn.Module]) -> Block:
    for module in ancestors:
        for base in type(module).__mro__:
            rule = BLOCK_RULES.get(f"{base.__module__}.{base.__qualname__}")
            if rule is None:
                continue
            kind, attribute = rule
            if attribute is None or getattr(module, attribute, None) not in (None, False):
                return kind
            break
    return "feed-forward"
