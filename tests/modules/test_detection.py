"""Detection: COCO mAP as COCO has it, batch by batch; SSD's losses; predictions; the embedded set is learnable."""

import math

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pytorch_lightning import Trainer, seed_everything
from tiny import quiet_trainer
from torchvision.ops import box_iou

from lpflu_bench.callbacks.predictions import PredictionWriter
from lpflu_bench.data import VOC
from lpflu_bench.data.drawing import draw_predictions
from lpflu_bench.data.image_files import read_image
from lpflu_bench.errors import UserError
from lpflu_bench.modules import DetectionModule, WarmupDecayHold
from lpflu_bench.modules.box_map import BoxMAP

SCORES = ("map", "map_50", "map_75")


def module(**settings):
    return DetectionModule(**{"num_classes": 3, "reduced_tail": True} | settings)


def random_set(num_images=12, num_classes=4, seed=0):
    """Random objects, some of them crowd, and detections near them or anywhere; class 4 is absent."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    def boxes(count):
        corner = uniform(count, 2) * 200
        return torch.cat([corner, corner + 10 + uniform(count, 2) * 150], dim=1)

    predictions, targets = [], []
    for _ in range(num_images):
        n = int(torch.randint(0, 6, (), generator=generator))
        truth, labels = boxes(n), torch.randint(1, num_classes, (n,), generator=generator)
        found = torch.cat([truth + 12 * (uniform(n, 4) - 0.5), boxes(5)])
        guessed = torch.cat([labels, torch.randint(1, num_classes, (5,), generator=generator)])
        predictions.append({"boxes": found, "scores": uniform(n + 5), "labels": guessed})
        targets.append({"boxes": truth, "labels": labels, "iscrowd": (uniform(n) < 0.2).long()})
    return predictions, targets


def computed(predictions, targets, batch_size=100, **settings):
    metric = BoxMAP(**settings)
    for i in range(0, len(predictions), batch_size):
        metric.update(predictions[i : i + batch_size], targets[i : i + batch_size])
    return metric.compute()


def coco_scores(predictions, targets):
    """The same by COCO's own evaluation."""
    images = [{"id": i} for i in range(len(targets))]
    annotations, results = [], []
    for i, (prediction, target) in enumerate(zip(predictions, targets, strict=True)):
        for box, label, crowd in zip(*(target[k].tolist() for k in ("boxes", "labels", "iscrowd")), strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": label, "iscrowd": crowd}
                | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            )
        for box, label, score in zip(*(prediction[k].tolist() for k in ("boxes", "labels", "scores")), strict=True):
            x1, y1, x2, y2 = box
            results.append({"image_id": i, "category_id": label, "score": score, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    truth = COCO()
    truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": c} for c in (1, 2, 3)]}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip(SCORES, evaluation.stats[:3], strict=True))


# --- mAP ------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_both_backends_give_coco_s_numbers(seed):
    data = random_set(seed=seed)
    expected = coco_scores(*data)
    assert 0.05 < expected["map"] < 0.95
    for backend in ("faster_coco_eval", "pycocotools"):
        scores = computed(*data, backend=backend)
        for name in SCORES:
            assert float(scores[name]) == pytest.approx(expected[name], abs=1e-6)


def test_both_backends_agree_on_each_class():
    data = random_set(num_images=30)
    fast, reference = (
        computed(*data, backend=backend, class_metrics=True) for backend in ("faster_coco_eval", "pycocotools")
    )
    assert fast["classes"].tolist() == reference["classes"].tolist() == [1, 2, 3]
    torch.testing.assert_close(fast["map_per_class"], reference["map_per_class"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_updates_by_batch_are_one_call_on_all_images(batch_size):
    data = random_set()
    whole, parts = computed(*data), computed(*data, batch_size=batch_size)
    for name in SCORES:
        assert float(parts[name]) == float(whole[name])
    # The mean of the batches' own scores, which famous trainers log, is another number.
    batches = [float(computed(*(each[i : i + batch_size] for each in data))["map"]) for i in range(0, 12, batch_size)]
    assert abs(np.mean(batches) - float(whole["map"])) > 0.01


def test_crowd_is_neither_to_be_found_nor_wrong_to_be_found():
    box = torch.tensor([[10.0, 10, 50, 50]])
    far = torch.tensor([[100.0, 100, 150, 150]])
    target = {"boxes": torch.cat([box, far]), "labels": torch.tensor([1, 1]), "iscrowd": torch.tensor([0, 1])}
    found = {"boxes": torch.cat([far, box]), "labels": torch.tensor([1, 1]), "scores": torch.tensor([0.9, 0.8])}
    missed = {name: value[1:] for name, value in found.items()}
    for prediction in (found, missed):
        assert float(computed([prediction], [target])["map"]) == pytest.approx(1.0)


def test_scores_do_not_depend_on_the_frame():
    predictions, targets = random_set()
    scale = torch.tensor([3.0, 0.5, 3.0, 0.5])
    scaled = [[{**item, "boxes": item["boxes"] * scale} for item in items] for items in (predictions, targets)]
    for name in SCORES:
        expected = float(computed(predictions, targets)[name])
        assert float(computed(*scaled)[name]) == pytest.approx(expected, abs=1e-6)


def test_a_class_without_objects_is_left_out_and_nothing_to_find_is_nan():
    predictions, targets = random_set()
    predictions[0]["labels"][:] = 4
    scores = computed(predictions, targets, class_metrics=True)
    network = module(num_classes=4, per_class=True)
    network.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    network.trainer.datamodule = VOC(classes=["a", "b", "c", "d"])
    named = network.scores(scores)
    by_class = [name for name in named if name.removeprefix("map_") in "abcd"]
    assert by_class == ["map_a", "map_b", "map_c"]
    assert named["map"] == pytest.approx(100 * float(scores["map"]))
    assert named["map"] == pytest.approx(np.mean([named[f"map_{c}"] for c in "abc"]), abs=1e-4)
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    empty = computed([{**nothing, "scores": torch.zeros(0)}], [{**nothing, "iscrowd": nothing["labels"]}])
    assert all(math.isnan(value) for value in module().scores(empty).values())


def test_state_is_kept_on_the_cpu_in_one_copy_a_name():
    metric = BoxMAP()
    predictions, targets = random_set(3)
    metric.update(predictions, targets)
    assert len(metric.detection_box) == len(metric.groundtruth_labels) == 3
    assert {box.device.type for box in metric.detection_box} == {"cpu"}


# --- the network ------------------------------------------------


def images_and_targets(count=2, size=64):
    images = torch.rand(count, 3, size, size)
    boxes = torch.tensor([[4.0, 4, 40, 40]])
    target = {"boxes": boxes, "labels": torch.tensor([2]), "iscrowd": torch.tensor([0])}
    extra = {"image_id": torch.tensor(0), "size": torch.tensor([2 * size, 3 * size])}
    return images, [{**target, **extra} for _ in range(count)]


def test_loss_is_the_sum_of_ssd_s_and_images_are_not_resized():
    network = module(activation="lpflu")
    network.log = lambda *args, **kwargs: None
    images, targets = images_and_targets()
    sizes = []
    network.network.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-2:]))
    losses = network(images, targets)
    assert sorted(losses) == ["bbox_regression", "classification"]
    loss = network.training_step((images, targets), 0)
    assert loss.isfinite()
    assert loss.ndim == 0
    loss.backward()
    assert all(p.grad is not None for p in network.network.parameters())
    assert set(sizes) == {(64, 64)}


def test_images_without_objects_train():
    network = module()
    images, targets = images_and_targets()
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    for some in ([targets[0], none], [none, none]):
        losses = network(images, some)
        assert all(loss.isfinite() for loss in losses.values())


def test_predictions_are_in_the_original_image_s_pixels():
    network = module().eval()
    images, targets = images_and_targets()
    with torch.no_grad():
        inside = network(images)
        outside = network.predict_step((images, targets), 0)
    for small, large in zip(inside, outside, strict=True):
        torch.testing.assert_close(large["boxes"], small["boxes"] * torch.tensor([3.0, 2, 3, 2]))
        assert large["image_id"] == 0
        assert len(large["labels"]) <= 300
        assert set(large["labels"].tolist()) <= {1, 2, 3}


def test_boxes_are_float32_in_half_precision():
    network = module().eval()
    images, _ = images_and_targets()
    anchors = []
    network.network.anchor_generator.register_forward_hook(lambda _, inputs, outputs: anchors.append(outputs[0]))
    with torch.no_grad():
        network(images)
        with torch.autocast("cpu", torch.bfloat16):
            predictions = network(images)
    assert torch.equal(anchors[0], anchors[1])
    assert {value.dtype for p in predictions for name, value in p.items() if name != "labels"} == {torch.float32}


def test_channels_last_gives_the_same_predictions():
    plain, last = module().eval(), module(channels_last=True).eval()
    last.network.to(memory_format=torch.channels_last)
    images, _ = images_and_targets()
    with torch.no_grad():
        for a, b in zip(plain(images), last(images), strict=True):
            torch.testing.assert_close(a["scores"], b["scores"], atol=1e-4, rtol=1e-3)


def test_other_classes_than_the_data_s_are_refused():
    with pytest.raises(UserError, match=r"--model.num_classes 20"):
        module().check_classes(20)


# --- pictures ------------------------------------------------


def test_only_boxes_above_the_threshold_are_drawn():
    image = torch.full((3, 60, 80), 100, dtype=torch.uint8)
    prediction = {
        "boxes": torch.tensor([[10.0, 20, 40, 50], [50, 5, 70, 30]]),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.9, 0.2]),
    }
    drawn = draw_predictions(image, prediction, ["a", "b"])
    changed = (drawn != image).any(0)
    assert changed[35, 10]
    assert changed[20, 30]
    assert not changed[:, 50:].any()
    assert torch.equal(draw_predictions(image, prediction, ["a", "b"], score_threshold=0.95), image)


# --- in a trainer ------------------------------------------------


def embedded(**settings):
    classes = ["circle", "square", "triangle"]
    return VOC(
        **{"root": "embedded", "classes": classes, "image_size": 64, "batch_size": 8, "cache": "memory"} | settings
    )


def test_scores_of_a_trainer_are_those_of_one_call_on_all_images(tmp_path):
    seed_everything(0, verbose=False)
    network, data = module(), embedded(test_batch_size=16)
    run = quiet_trainer(tmp_path)
    run.validate(network, data, verbose=False)
    assert network._outcomes_here == []  # the test's alone are kept
    run.test(network, data, verbose=False)
    assert network.num_scored == data.test_size == 64
    assert network.outcomes.num_images == 64
    images, targets = data.prepare_batch(data.test_set.__getitems__(range(64)))
    network.eval()
    with torch.no_grad():
        predictions = network.predict_step((images, targets), 0)
    scale = [t["size"].flip(0).repeat(2) / 64 for t in targets]
    truth = [{**t, "boxes": t["boxes"] * s} for t, s in zip(targets, scale, strict=True)]
    expected = computed(predictions, truth)
    for name in SCORES:
        assert float(run.callback_metrics[f"test_{name}"]) == pytest.approx(100 * float(expected[name]), abs=1e-3)


def test_predict_leaves_pictures_and_a_table(tmp_path):
    import pandas as pd

    network, data = module(), embedded()
    run = quiet_trainer(tmp_path, limit_predict_batches=1, callbacks=[PredictionWriter(tmp_path / "out", pictures=2)])
    run.predict(network, data, return_predictions=False)
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name for path in pictures] == ["000000_000000.png", "000001_000001.png"]
    assert read_image(pictures[0]).shape == data.original_image(0).shape
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert list(table.columns) == ["index", "file", "class", "score", "x1", "y1", "x2", "y2"]
    assert table["index"].nunique() <= 8
    assert table["score"].between(0, 1).all()


@pytest.mark.slow
def test_the_embedded_set_is_learnable(tmp_path):
    seed_everything(0, verbose=False)
    data = embedded(augmentation="flip")
    network = module(
        schedule=WarmupDecayHold(1, 8), optimizer=lambda p: torch.optim.Adam(p, lr=0.012), channels_last=True
    )
    run = quiet_trainer(tmp_path, max_epochs=8, limit_val_batches=0)
    run.test(network, data, verbose=False)
    untrained = float(run.callback_metrics["test_map_50"])
    run.fit(network, data)
    run.test(network, data, verbose=False)
    assert untrained < 5
    assert float(run.callback_metrics["test_map_50"]) > untrained + 20
    # What it is sure of lies on an object.
    batch = next(iter(data.test_dataloader()))
    images, targets = data.prepare_batch(batch)
    with torch.no_grad():
        predictions = network.eval()(images)
    best = [p["boxes"][:1] for p in predictions if len(p["boxes"])]
    overlaps = [box_iou(b, t["boxes"]).max() for b, t in zip(best, targets, strict=True)]
    assert np.median(overlaps) > 0.5
