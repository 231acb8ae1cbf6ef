"""Scores computed again from what is kept of each image, against the libraries that the scores come from."""

import numpy as np
import pytest
import torch
from synthetic_records import result_of_test
from torchmetrics.classification import MulticlassConfusionMatrix

from lpflu_bench.errors import UserError
from lpflu_bench.modules.box_map import BoxMAP
from lpflu_bench.modules.box_matches import detection_outcomes, match_image
from lpflu_bench.modules.segmentation import class_ious
from lpflu_bench.outcomes import (
    ClassificationOutcomes,
    SegmentationOutcomes,
    has_outcomes,
    load_outcomes,
    save_outcomes,
)

CLASSES = 3


def classification(images=11):
    rng = np.random.default_rng(0)
    top1 = rng.random(images) < 0.4
    return ClassificationOutcomes({"top1": top1, "top5": top1 | (rng.random(images) < 0.5)})


def masks(images=6, size=40):
    """Labels and predictions of images without every class in each of them."""
    generator = torch.Generator().manual_seed(0)
    labels = [torch.randint(i % 2, CLASSES, (size,), generator=generator) for i in range(images)]
    return labels, [torch.randint(0, CLASSES - i % 2, (size,), generator=generator) for i in range(images)]


def segmentation(other_class=-1):
    matrices = [torch.bincount(a * CLASSES + b, minlength=CLASSES**2).numpy() for a, b in zip(*masks(), strict=True)]
    image, cell = np.nonzero(matrices)
    return SegmentationOutcomes(image, cell, np.stack(matrices)[image, cell], len(matrices), CLASSES, other_class)


def scenes(images=14, seed=0, ties=True):
    """Random boxes near objects, crowds, images without objects or detections; equal scores with ``ties``."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    predictions, targets = [], []
    for index in range(images):
        objects = index % 4
        corners = rand(objects, 2) * 60
        boxes = torch.cat([corners, corners + 10 + 20 * rand(objects, 2)], dim=1)
        labels = (rand(objects) * 2).long() + 1
        crowd = (rand(objects) < 0.25).long()
        targets.append({"boxes": boxes, "labels": labels, "iscrowd": crowd})
        near = boxes.repeat_interleave(3, 0) + rand(3 * objects, 4) * 5
        found = 0 if index == 3 else 5
        far = rand(found, 2) * 60
        near = near if found else near[:0]
        boxes = torch.cat([near, torch.cat([far, far + 15], dim=1)])
        labels = torch.cat([labels.repeat_interleave(3)[: len(near)], (rand(found) * 3).long() + 1])
        scores = rand(len(boxes))
        scores = (scores * 8).floor() / 8 if ties else scores
        predictions.append({"boxes": boxes, "scores": scores, "labels": labels})
    return predictions, targets


def detection(**settings):
    return detection_outcomes([match_image(p, t) for p, t in zip(*scenes(**settings), strict=True)])


def coco(predictions, targets):
    metric = BoxMAP("pycocotools")
    metric.update(predictions, targets)
    return {name: 100 * float(metric.compute()[name]) for name in ("map", "map_50", "map_75")}


def test_classification_errors():
    outcomes = classification()
    errors = outcomes.per_image_score("top1_error")
    assert set(errors) == {0.0, 100.0}
    assert outcomes.resample("top1_error", np.ones(11))[0] == errors.mean()
    assert outcomes.resample("top5_error", np.eye(11)).tolist() == outcomes.per_image_score("top5_error").tolist()


def test_segmentation_scores_are_those_of_the_confusion_matrix_of_any_resample():
    labels, predicted = masks()
    outcomes = segmentation(other_class=2)
    for weights in ([1, 1, 1, 1, 1, 1], [0, 3, 0, 1, 0, 2], [0, 0, 1, 0, 0, 0]):
        metric = MulticlassConfusionMatrix(CLASSES)
        for times, label, one in zip(weights, labels, predicted, strict=True):
            for _ in range(times):
                metric.update(one, label)
        confusion = metric.compute()
        ious = class_ious(confusion)
        expected = {
            "miou": 100 * ious.nanmean(),
            "miou_2": 100 * ious[:2].nanmean(),
            "pixel_accuracy": 100 * confusion.diagonal().sum() / confusion.sum(),
        }
        assert outcomes.scores == tuple(expected)
        for name, value in expected.items():
            assert outcomes.resample(name, weights)[0] == pytest.approx(float(value), abs=1e-5)
    alone = outcomes.resample("miou", np.eye(6))
    assert outcomes.per_image_score("miou").tolist() == pytest.approx(alone.tolist())


@pytest.mark.parametrize("ties", [False, True])
def test_detection_scores_are_coco_s_on_any_resample(ties):
    predictions, targets = scenes(ties=ties)
    outcomes = detection(ties=ties)
    rng = np.random.default_rng(0)
    draws = [np.sort(rng.integers(0, 14, 14)) for _ in range(4)]
    if ties:  # in which order the equal scores of an image's copies come is COCO's chance: no image twice
        draws = [np.unique(draw) for draw in draws]
    for draw in [np.arange(14), *draws]:
        expected = coco([predictions[i] for i in draw], [targets[i] for i in draw])
        weights = np.bincount(draw, minlength=14)
        for name, value in expected.items():
            assert outcomes.resample(name, weights)[0] == pytest.approx(value, abs=1e-5)


def test_an_image_alone():
    predictions, targets = scenes()
    alone = detection().per_image_score("map")
    for index in range(14):
        value = coco(predictions[index : index + 1], targets[index : index + 1])["map"]
        if value < 0:  # COCO's word for nothing to be found
            assert np.isnan(alone[index])
        else:
            assert alone[index] == pytest.approx(value, abs=1e-5)


def test_only_the_best_hundred_detections_of_a_class_count():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    target = {"boxes": boxes, "labels": torch.tensor([1]), "iscrowd": torch.tensor([0])}
    far = boxes.repeat(100, 1) + 50
    prediction = {
        "boxes": torch.cat([far, boxes]),
        "scores": torch.linspace(1, 0.1, 101),
        "labels": torch.ones(101, dtype=torch.long),
    }
    assert detection_outcomes([match_image(prediction, target)]).resample("map", [1])[0] == 0
    assert coco([prediction], [target])["map"] == 0


@pytest.mark.parametrize("make", [classification, segmentation, detection])
def test_outcomes_come_back_as_they_were(tmp_path, make):
    record, outcomes = tmp_path / "record.json", make()
    test = result_of_test({})
    test["outcomes"] = save_outcomes(outcomes, record, "raw", {})
    again = load_outcomes(record, test)
    assert again.num_images == outcomes.num_images
    weights = np.random.default_rng(0).integers(0, 3, (5, outcomes.num_images))
    for name in outcomes.scores:
        assert again.resample(name, weights).tolist() == outcomes.resample(name, weights).tolist()
    with pytest.raises(ValueError, match="does not follow"):
        again.resample("nonsense", weights)
    with pytest.raises(ValueError, match="columns"):
        again.resample(outcomes.scores[0], [[1]])


def test_a_file_holds_all_tests_of_a_record_and_no_others(tmp_path):
    record = tmp_path / "0123456789abcdef.json"
    clean, noisy, gone = classification(8), classification(9), classification(10)
    tests = []
    for outcomes, conditions in ((clean, {}), (gone, {"data.test_noise": 2}), (noisy, {"data.test_noise": 1})):
        keep = [test for test in tests if test["conditions"] != {"data.test_noise": 2}]
        saved = save_outcomes(outcomes, record, "raw", conditions, keep=keep)
        tests.append(result_of_test({}, conditions=conditions, outcomes=saved))
    assert (tmp_path / "0123456789abcdef.npz").is_file()
    assert [load_outcomes(record, tests[i]).num_images for i in (0, 2)] == [8, 9]
    with pytest.raises(UserError, match="is not what was written"):
        load_outcomes(record, tests[1])


def test_missing_changed_and_older_outcomes_are_one_line(tmp_path):
    record = tmp_path / "record.json"
    test = result_of_test({})
    with pytest.raises(UserError, match="no outcomes by image"):
        load_outcomes(record, test)
    test["outcomes"] = save_outcomes(classification(), record, "raw", {})
    save_outcomes(classification(12), record, "raw", {})  # of another test under the same name
    with pytest.raises(UserError, match="is not what was written"):
        load_outcomes(record, test)
    whole = (tmp_path / "outcomes.npz").read_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-1]):
        (tmp_path / "outcomes.npz").write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            load_outcomes(record, test)
    other = save_outcomes(classification(3), record, "raw", {"data.test_noise": 1}, keep=[test])
    assert not has_outcomes(record, test), "damaged ones are left out, not copied"
    assert has_outcomes(record, result_of_test({}, conditions={"data.test_noise": 1}, outcomes=other))
    (tmp_path / "outcomes.npz").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_outcomes(record, test)
