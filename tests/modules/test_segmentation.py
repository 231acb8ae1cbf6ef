import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import seed_everything
from tiny import quiet_trainer

from lpflu_bench.callbacks.predictions import PredictionWriter
from lpflu_bench.data import Cityscapes
from lpflu_bench.data.drawing import draw_masks
from lpflu_bench.data.image_files import read_image
from lpflu_bench.errors import UserError
from lpflu_bench.modules import SegmentationModule
from lpflu_bench.modules.segmentation import class_ious

IGNORE = 255


def module(**settings):
    return SegmentationModule(**{"num_classes": 5, "encoder_name": "resnet18"} | settings)


def published_ious(labels, predictions, num_classes):
    """IoU = TP / (TP + FP + FN) over all pixels that are not ignored, counted class by class; None where undefined."""
    seen = labels != IGNORE
    ious = []
    for c in range(num_classes):
        tp = int(((labels == c) & (predictions == c) & seen).sum())
        fp = int(((labels != c) & (predictions == c) & seen).sum())
        fn = int(((labels == c) & (predictions != c) & seen).sum())
        ious.append(tp / (tp + fp + fn) if tp + fp + fn else None)
    return ious


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_an_independent_count(seed):
    rng = np.random.default_rng(seed)
    # Class 3 is nowhere; class 2 in predictions alone; class 4 ("other") in both.
    labels = rng.choice([0, 1, 4, IGNORE], p=[0.5, 0.2, 0.1, 0.2], size=(6, 17, 23))
    predictions = np.where(rng.random(labels.shape) < 0.6, labels % 5, rng.choice([0, 1, 2, 4], size=labels.shape))
    network = module(other_class=4, per_class=True)
    metric = network.stage_metric("test")
    for prediction, label in zip(predictions, labels, strict=True):
        metric.update(torch.from_numpy(prediction), torch.from_numpy(label.astype(np.uint8)))
    scores = network.scores(metric.compute())

    ious = published_ious(labels, predictions, 5)
    assert ious[3] is None
    assert ious[2] == 0
    present = [iou for iou in ious if iou is not None]
    assert float(scores["miou"]) == pytest.approx(100 * sum(present) / 4, abs=1e-9)
    assert float(scores["miou_4"]) == pytest.approx(100 * (ious[0] + ious[1] + ious[2]) / 3, abs=1e-9)
    seen = labels != IGNORE
    accuracy = 100 * (labels == predictions)[seen].mean()
    assert float(scores["pixel_accuracy"]) == pytest.approx(accuracy, abs=1e-9)
    assert {name for name in scores if name.startswith("iou_")} == {"iou_0", "iou_1", "iou_2", "iou_4"}
    assert scores["iou_1"] == pytest.approx(100 * ious[1], abs=1e-9)


def test_counts_beyond_float32_stay_exact():
    confusion = torch.tensor([[2**30 + 1, 1], [0, 2**30]])
    assert class_ious(confusion)[0].item() == (2**30 + 1) / (2**30 + 2)


def test_cityscapes_has_both_means_and_other_tables_one():
    computed = torch.eye(20, dtype=torch.long)
    assert set(module(num_classes=20, other_class=19).scores(computed)) == {
        "miou",
        "miou_19",
        "miou_official",
        "pixel_accuracy",
    }
    assert set(module().scores(torch.eye(5, dtype=torch.long))) == {"miou", "pixel_accuracy"}
    with pytest.raises(UserError, match=r"model\.other_class is 19: it must be null, or 0 to 18"):
        module(num_classes=19, other_class=19)


def test_predictions_are_scored_at_the_labels_resolution():
    """Small logits, resized bilinearly; masks of different sizes in one batch."""
    network = module().eval()
    images = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    masks = [torch.randint(5, size, dtype=torch.uint8) for size in ((96, 192), (50, 70))]
    predicted = network.predict_step((images, masks), 0)
    with torch.no_grad():
        logits = network(images)
    for i, mask in enumerate(masks):
        resized = F.interpolate(logits, size=mask.shape, mode="bilinear", align_corners=False)
        assert torch.equal(predicted[i], resized[i].argmax(0))
    network.test_step((images, masks), 0)
    assert int(network.stage_metric("test").compute().sum()) == 96 * 192 + 50 * 70


def test_the_loss_is_the_mean_over_pixels_that_are_not_ignored():
    network = module()
    network.log_loss = lambda *_: None
    images = torch.randn(2, 3, 32, 32)
    masks = torch.randint(5, (2, 32, 32))
    masks[:, :7] = IGNORE
    network.eval()
    expected = F.cross_entropy(network(images), masks, ignore_index=IGNORE)
    assert network.training_step((images, masks), 0).item() == pytest.approx(expected.item(), rel=1e-5)
    loss = network.training_step((images, torch.full_like(masks, IGNORE)), 0)
    assert loss.item() == 0  # a mean over nothing would be NaN


@pytest.mark.parametrize(("encoder", "slopes"), [("vgg13_bn", {"fixed"}), ("resnet34", {"fixed", "ema"})])
def test_every_nonlinearity_of_encoder_and_decoder_is_replaced(encoder, slopes):
    network = module(encoder_name=encoder, activation="lpflu")
    placements = network.placement.placements
    assert {p.slope for p in placements} == slopes
    assert {p.path.split(".")[0] for p in placements} == {"encoder", "decoder"}
    assert not [m for m in network.network.modules() if type(m).__name__ in ("ReLU", "SiLU", "GELU")]
    if slopes == {"fixed", "ema"}:
        assert {p.path.split(".")[1][:5] for p in placements if p.slope == "ema"} == {"layer"}
        assert all(p.slope == "fixed" for p in placements if p.path.startswith("decoder"))
    assert network.network_name == f"unet-{encoder}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A module trained for two short epochs on the embedded scenes, its data, and the scores before and after."""
    seed_everything(0, verbose=False)
    network = module(num_classes=20, other_class=19, optimizer=lambda p: torch.optim.Adam(p, lr=0.002))
    data = Cityscapes(root="embedded", size=(32, 64), crop_size=None, batch_size=8, cache="memory")
    run = quiet_trainer(tmp_path_factory.mktemp("run"), max_epochs=2, limit_val_batches=0)
    scores = []
    for fit in (False, True):
        if fit:
            run.fit(network, data)
        run.test(network, data, verbose=False)
        scores.append({name: float(value) for name, value in run.callback_metrics.items()})
    return network, data, scores


def test_embedded_scenes_are_learnt(trained):
    network, _, (before, after) = trained
    assert network.num_scored == 32
    assert after["test_miou"] > before["test_miou"] + 15
    assert after["test_miou_19"] > before["test_miou_19"] + 15
    assert after["test_pixel_accuracy"] > 70


def test_predictions_are_drawn_and_listed(trained, tmp_path):
    network, data, _ = trained
    writer = PredictionWriter(tmp_path / "predict", pictures=2)
    run = quiet_trainer(tmp_path, callbacks=[writer], limit_predict_batches=1)
    predictions = run.predict(network, data)[0]
    drawn = sorted(path.name for path in (tmp_path / "predict").iterdir())
    assert drawn[:3] == [
        "000000_demo_000000_000000_leftImg8bit.png",
        "000000_demo_000000_000000_leftImg8bit_classes.png",
        "000001_demo_000001_000000_leftImg8bit.png",
    ]
    assert sum(name.endswith("_leftImg8bit.png") for name in drawn) == 2
    picture = read_image(tmp_path / "predict" / drawn[0])
    assert picture.shape == data.original_image(0).shape == (3, 96, 192)
    assert torch.equal(read_image(tmp_path / "predict" / drawn[1])[0], predictions[0].byte())
    table = pd.read_csv(tmp_path / "predict" / "predictions.csv")
    assert table["index"].nunique() == 8
    assert table[table["index"] == 0]["share"].sum() == pytest.approx(1, abs=1e-4)
    assert set(table["class"]) <= set(data.class_names)
    assert table["file"][0] == str(data.image_path(0))


def test_masks_are_drawn_in_their_customary_colours():
    image = torch.full((3, 1, 2), 100, dtype=torch.uint8)
    drawn = draw_masks(image, torch.tensor([[1, 0]]), ["unheard of", "road"], opacity=0.5)
    assert drawn[:, 0, 0].tolist() == [114, 82, 114]  # road is (128, 64, 128)
    assert draw_masks(image, torch.tensor([[1, 0]]), ["unheard of", "road"], opacity=0).tolist() == image.tolist()
