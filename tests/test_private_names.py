"""Names of other packages that are not promised to stay, each with the one module that uses it."""

import importlib
from importlib.metadata import version

import pytest
from pytorch_lightning.callbacks import WeightAveraging

USED = {
    ("pytorch_lightning.cli", "LightningCLI", "training/cli_hooks.py"): (
        "_get",
        "_parse_ckpt_path",
        "_parser",
        "_prepare_subcommand_kwargs",
        "_set_seed",
    ),
    ("pytorch_lightning.callbacks", "WeightAveraging", "callbacks/weight_ema.py"): ("_swap_models",),
    ("torchvision.transforms.v2", "RandAugment", "data/classification_augment.py"): (
        "_AUGMENTATION_SPACE",
        "_apply_image_or_video_transform",
    ),
    ("torchmetrics.detection", "MeanAveragePrecision", "modules/box_map.py"): ("_sync_dist",),
    ("torch.nn.modules.batchnorm", "", "modules/base.py, networks/initializers.py"): ("_NormBase",),
    ("torch.nn.modules.conv", "", "networks/initializers.py, networks/strides.py"): ("_ConvNd",),
    ("torchvision.models.detection", "", "networks/ssdlite.py"): ("_utils",),
}
NAMES = [(*place, name) for place, names in USED.items() for name in names]


@pytest.mark.parametrize(("module", "owner", "user", "name"), NAMES, ids=[f"{o or m}.{n}" for m, o, _, n in NAMES])
def test_it_is_still_there(module, owner, user, name):
    found = importlib.import_module(module)
    found = getattr(found, owner) if owner else found
    package = module.split(".")[0].replace("_", "-")
    assert hasattr(found, name), f"{package} {version(package)} has no {module}.{owner}.{name}: see {user}"


def test_the_average_model_of_weight_averaging_is_still_there():
    assert hasattr(WeightAveraging(), "_average_model"), "see callbacks/weight_ema.py"
