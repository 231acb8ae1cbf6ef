"""How far the swap reaches: every network of the list is swapped, proved, and trained for one step.

    uv run --with transformers --with ultralytics python benchmarks/swap_coverage.py [--only PATTERN] [--out results/swap]

coverage.csv has a row for each network: call places seen, replaced, kept and left; slopes by form; whether the original
function put in at every place gives bitwise equal outputs (up to --prove-up-to million parameters: larger networks are swapped
on the meta device alone); up to 6 million, forward and backward of a tiny input with a function that keeps its output (relu)
and one that keeps its input (gelu); seconds for the swap. Rows of other networks that the file holds already stay; --missing
leaves out those that it has a proof of or knows to be too large for one. libraries.csv compares the slopes of the same
architecture in several libraries. No weights are downloaded; transformers and ultralytics are left out where they are not
installed.
"""

import argparse
import copy
import fnmatch
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import nn

from lpflu_bench.activations.replace import replace_activations, verify_swap
from lpflu_bench.activations.swap.inputs import Inputs, candidates, image, is_detector, small_images
from lpflu_bench.activations.swap.places import run_on_random_numbers
from lpflu_bench.activations.swap.trace import UntraceableError
from lpflu_bench.errors import UserError

Case = tuple[str, str, Callable[[], nn.Module]]
TIMM = """
resnet18 resnet50 resnetv2_50 resnet26t seresnet50 ecaresnet26t resnext50_32x4d wide_resnet50_2 res2net50_26w_4s
resnest14d skresnet18 regnetx_002 regnety_008 regnetz_b16 dpn68 densenet121 dla34 hrnet_w18_small vovnet39a
ese_vovnet19b_dw vgg11_bn inception_v3 inception_v4 inception_resnet_v2 xception41 legacy_xception nasnetalarge
pnasnet5large cspresnet50 cspdarknet53 darknet53 efficientnet_b0 tf_efficientnetv2_b0 efficientnet_lite0 mnasnet_100
mobilenetv2_100 mobilenetv3_large_100 mobilenetv4_conv_small fbnetc_100 ghostnet_100 tinynet_a lcnet_050 rexnet_100
hardcorenas_a mobileone_s0 mobilevit_s mobilevitv2_050 edgenext_xx_small efficientformer_l1 repvgg_a0 repghostnet_050
fastvit_t8 dm_nfnet_f0 nf_resnet50 gernet_s convnext_tiny convnextv2_atto convmixer_768_32 poolformer_s12 caformer_s18
vit_tiny_patch16_224 deit3_small_patch16_224 beit_base_patch16_224 eva02_tiny_patch14_224 swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 maxvit_tiny_tf_224 coatnet_0_rw_224 mvitv2_tiny pvt_v2_b0 twins_svt_small cait_xxs24_224
levit_128s volo_d1_224 mixer_s32_224 gmlp_s16_224 resmlp_12_224 focalnet_tiny_srf hiera_tiny_224 inception_next_tiny
sequencer2d_s davit_tiny crossvit_tiny_240 xcit_nano_12_p16_224 efficientvit_b0 starnet_s1 tiny_vit_5m_224
visformer_tiny botnet26t_256 halonet26t
"""
ENCODERS = """
resnet34 resnext50_32x4d vgg13_bn densenet121 dpn68 se_resnet50 senet154 inceptionresnetv2 inceptionv4 xception
efficientnet-b0 mobilenet_v2 mit_b0 mit_b1 mit_b2 mit_b3 mit_b4 mit_b5 mobileone_s0
timm-skresnet18 timm-efficientnet-b0 tu-convnext_tiny tu-regnety_008 tu-mobilenetv3_large_100 tu-tf_efficientnetv2_b0
"""
DETECTORS = """
fasterrcnn_resnet50_fpn fasterrcnn_mobilenet_v3_large_320_fpn retinanet_resnet50_fpn fcos_resnet50_fpn ssd300_vgg16
ssdlite320_mobilenet_v3_large
"""
LIBRARIES = ("torchvision", "timm", "smp encoder", "transformers")
SAME = """
resnet50            resnet50           resnet50                   resnet50                 resnet50
regnet_y_800mf      regnet_y_800mf     regnety_008                tu-regnety_008           regnet_y_800mf
vit_b_16            vit_b_16           vit_base_patch16_224       -                        vit_b_16
swin_t              swin_t             swin_tiny_patch4_window7_224 -                      swin_t
densenet121         densenet121        densenet121                densenet121              -
convnext_tiny       convnext_tiny      convnext_tiny              tu-convnext_tiny         convnext_tiny
mobilenet_v3_large  mobilenet_v3_large tf_mobilenetv3_large_100   tu-tf_mobilenetv3_large_100 -
efficientnet_b0     efficientnet_b0    efficientnet_b0            efficientnet-b0          efficientnet_b0
mit_b0              -                  -                          mit_b0                   mit_b0
"""  # an architecture and its name in each of LIBRARIES
_ONE_OUTPUT = {"aux_logits": False, "init_weights": False}
_STEP_UP_TO = 6  # million parameters: above, no training step is taken
_PROOF_SIDE = 64  # pixels of the images that large networks are proved with, where they take them


def _same(library: str) -> dict[str, str]:
    """Return the architectures of the comparison that ``library`` has, and their names there."""
    columns = [line.split() for line in SAME.strip().splitlines()]
    named = {name: names[LIBRARIES.index(library)] for name, *names in columns}
    return {architecture: name for architecture, name in named.items() if name != "-"}


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Return slopes as "EMA + fixed" for each architecture and library, and whether all libraries have as many EMA slopes."""
    rows = table.set_index(["library", "network"])
    lines: dict[str, dict[str, object]] = {}
    for library in LIBRARIES:
        for architecture, name in _same(library).items():
            if (library, name) in rows.index:
                ema, fixed = (int(rows.loc[(library, name), form]) for form in ("ema", "fixed"))
                lines.setdefault(architecture, {})[library] = f"{ema} + {fixed}"
    compared = pd.DataFrame.from_dict(lines, orient="index", columns=LIBRARIES).rename_axis("architecture")
    compared["equal"] = [len({cell.split()[0] for cell in line.dropna()}) == 1 for _, line in compared.iterrows()]
    return compared.fillna("").reset_index()


def cases() -> Iterator[Case]:
    """Yield library, name and builder."""
    for name in torchvision.models.list_models(module=torchvision.models):
        extra = _ONE_OUTPUT if name in ("googlenet", "inception_v3") else {}
        yield "torchvision", name, lambda n=name, e=extra: torchvision.models.get_model(n, weights=None, **e)
    for name in dict.fromkeys([*TIMM.split(), *_same("timm").values()]):
        yield "timm", name, lambda n=name: timm.create_model(n)
    for name in DETECTORS.split():
        yield (
            "torchvision detection",
            name,
            lambda n=name: torchvision.models.get_model(n, weights=None, weights_backbone=None, num_classes=5),
        )
    for name in ENCODERS.split():
        yield "smp unet", name, lambda n=name: smp.Unet(n, encoder_weights=None, classes=3)
    for name in _same("smp encoder").values():
        yield "smp encoder", name, lambda n=name: smp.encoders.get_encoder(n, weights=None)
    for name in sorted(smp.MODEL_ARCHITECTURES_MAPPING):
        encoder = "mit_b0" if name == "segformer" else "resnet18"
        if name != "dpt":
            yield "smp", name, lambda n=name, e=encoder: smp.create_model(n, e, encoder_weights=None, classes=3)
    yield from _hugging_face()
    yield from _ultralytics()


def _hugging_face() -> Iterator[Case]:
    try:
        import transformers as hf
    except ImportError:
        return
    mobile = hf.RegNetConfig(hidden_sizes=[64, 144, 320, 784], depths=[1, 3, 8, 2], groups_width=16, layer_type="y")
    small = hf.EfficientNetConfig(width_coefficient=1.0, depth_coefficient=1.0, image_size=224, hidden_dim=1280)
    yield "transformers", "resnet50", lambda: hf.ResNetModel(hf.ResNetConfig())
    yield "transformers", "regnet_y_800mf", lambda: hf.RegNetModel(mobile)
    yield "transformers", "vit_b_16", lambda: hf.ViTModel(hf.ViTConfig())
    yield "transformers", "swin_t", lambda: hf.SwinModel(hf.SwinConfig())
    yield "transformers", "convnext_tiny", lambda: hf.ConvNextModel(hf.ConvNextConfig())
    yield "transformers", "efficientnet_b0", lambda: hf.EfficientNetModel(small)
    yield "transformers", "mit_b0", lambda: hf.SegformerModel(hf.SegformerConfig())
    yield "transformers", "SegFormer", lambda: hf.SegformerForSemanticSegmentation(hf.SegformerConfig(image_size=64))
    yield "transformers", "BERT", lambda: hf.BertModel(hf.BertConfig(num_hidden_layers=2))


def _ultralytics() -> Iterator[Case]:
    try:
        from ultralytics.nn.tasks import DetectionModel
    except ImportError:
        return
    for name in ("yolov8n", "yolo11n"):
        yield "ultralytics", name, lambda n=name: DetectionModel(f"{n}.yaml", verbose=False)


def _numbers(tree: object) -> Iterator[torch.Tensor]:
    return (leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _one_step(network: nn.Module, activation: str) -> str:
    """Forward and backward in training mode, with the inputs that the swap found; what went wrong, or nothing."""
    replace_activations(network, activation, strict=False)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # pooled to one value per channel
    for inputs in candidates(network):
        given = inputs.on("cpu")
        try:
            if is_detector(network):
                target = {"boxes": torch.tensor([[8.0, 8.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
                with small_images(network):
                    output = network(given.args[0], [target])
            else:
                output = network(*given.args, **given.kwargs)
        except (RuntimeError, ValueError, AssertionError) as error:
            failure = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            continue
        leaves = [leaf for leaf in _numbers(output) if leaf.requires_grad]
        sum(leaf.float().square().mean() for leaf in leaves).backward()
        return ""
    return failure


def _millions(network: nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


def _without_memory_if_large(build: Callable[[], nn.Module], limit: float) -> nn.Module:
    try:
        with torch.device("meta"):
            network = build()
    except (RuntimeError, NotImplementedError):  # it computes something when it is built
        return build()
    return network if _millions(network) > limit else build()


def _inputs_of_proof(network: nn.Module) -> Inputs | None:
    """Return a small image if the network takes one, else None: what the swap makes up."""
    try:
        run_on_random_numbers(network, image(_PROOF_SIDE))
    except UntraceableError:
        return None
    return image(_PROOF_SIDE)


def measure(library: str, name: str, build: Callable[[], nn.Module], prove_up_to: float) -> dict[str, object]:
    """Return one row of the table."""
    torch.manual_seed(0)
    detector = "detection" in library  # isn't traced without its weights
    network = build() if detector else _without_memory_if_large(build, prove_up_to)
    millions = _millions(network)
    start = time.perf_counter()
    try:
        report = replace_activations(copy.deepcopy(network), "lpflu", strict=False)
    except UserError as error:
        return {"library": library, "network": name, "error": str(error)}
    seconds = time.perf_counter() - start
    counts = report.counts()
    row = {
        "library": library,
        "network": name,
        "million_parameters": round(millions, 1),
        "places": counts["replaced"] + counts["left"],
        "replaced": counts["replaced"],
        "left": counts["left"],
        "kept": counts["kept"],
        "ema": counts["slopes"].get("ema", 0),
        "fixed": counts["slopes"].get("fixed", 0),
        "traced": not report.untraced,
        "seconds": round(seconds, 2),
        "remarks": "; ".join(report.remarks()),
    }
    if millions > prove_up_to:
        return row
    try:
        small = millions > _STEP_UP_TO and not detector
        verify_swap(copy.deepcopy(network), _inputs_of_proof(network) if small else None)
        row["bitwise_equal"] = True
    except UserError as error:
        row["bitwise_equal"], row["remarks"] = False, f"{row['remarks']} {error}"
    if millions > _STEP_UP_TO:
        return row  # its small siblings take one
    for activation in ("relu", "gelu"):
        row[f"step_{activation}"] = _one_step(copy.deepcopy(network), activation) or "ok"
    return row


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/swap"))
    parser.add_argument("--only", default="*", help="shell pattern of `library/network`")
    parser.add_argument("--prove-up-to", type=float, default=30, help="million parameters of the largest one proved")
    parser.add_argument("--missing", action="store_true", help="only what the file neither proves nor knows as larger")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "coverage.csv"
    chosen = [case for case in cases() if fnmatch.fnmatch("/".join(case[:2]), args.only)]
    if args.missing and file.exists():
        known = pd.read_csv(file)
        known = known[known["bitwise_equal"].notna() | (known["million_parameters"] > args.prove_up_to)]
        settled = set(zip(known["library"], known["network"], strict=True))
        chosen = [case for case in chosen if case[:2] not in settled]
    for number, (library, name, build) in enumerate(chosen, 1):
        try:
            row = measure(library, name, build, args.prove_up_to)
        except Exception as error:  # the table shows which, and goes on
            row = {"library": library, "network": name, "error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(number, len(chosen), row, file=sys.stderr, flush=True)
        table = pd.DataFrame([row])
        if file.exists():
            table = pd.concat([pd.read_csv(file), table]).drop_duplicates(["library", "network"], keep="last")
        table.to_csv(file, index=False)
    table = pd.read_csv(file)
    counts = ["places", "replaced", "left", "kept", "ema", "fixed"]
    print(table.groupby("library", sort=False)[counts].sum().astype(int).to_string())
    proved, left = table["bitwise_equal"].dropna(), int((table["left"] > 0).sum())
    print(f"{len(table)} networks, {left} with places left; bitwise equal: {int(proved.sum())} of {len(proved)} tried")
    compared = compare(table)
    compared.to_csv(args.out / "libraries.csv", index=False)
    print(compared.to_string(index=False))


if __name__ == "__main__":
    main()
