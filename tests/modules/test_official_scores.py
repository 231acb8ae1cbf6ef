"""Scores by the official protocols equal the official tools' on the same predictions."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from mean_average_precision import MetricBuilder
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.ops import box_iou

from lpflu_bench.data import Cityscapes, DetectionFolder
from lpflu_bench.modules.box_map import BoxMAP
from lpflu_bench.modules.classification import ClassificationModule
from lpflu_bench.modules.segmentation import SegmentationModule
from lpflu_bench.modules.voc_ap import voc_mean_average_precision

CLASSES, IMAGES = 4, 30


def random_boxes(rng, count, near=None):
    corners = rng.integers(1, 60, (count, 2)) if near is None else near[:, :2] + rng.integers(-6, 7, (count, 2))
    sides = (
        rng.integers(15, 60, (count, 2))
        if near is None
        else near[:, 2:] - near[:, :2] + rng.integers(-6, 7, (count, 2))
    )
    return np.concatenate([corners, corners + np.maximum(sides, 5)], axis=1).astype(float)


def detections_and_truth():
    """Random objects (some difficult) and detections near them and elsewhere, with whole coordinates."""
    rng = np.random.default_rng(0)
    found, true = [], []
    for _ in range(IMAGES):
        objects = random_boxes(rng, 5)
        labels = rng.integers(0, CLASSES, 5)
        boxes = np.concatenate([random_boxes(rng, 5, objects), random_boxes(rng, 5, objects), random_boxes(rng, 5)])
        found_labels = np.concatenate([labels, labels, rng.integers(0, CLASSES, 5)])
        found.append((boxes, rng.permutation(1000)[:15] / 1000 + rng.random() / 1e4, found_labels))
        true.append((objects, labels, (rng.random(5) < 0.2).astype(int)))
    return found, true


def tensors(parts):
    return [tuple(torch.from_numpy(np.asarray(values)) for values in image) for image in parts]


def evaluator(found, true):
    """Another VOC evaluator, whose boxes have whole pixels as corners, of which the last belongs to the box."""
    reference = MetricBuilder.build_evaluation_metric("map_2d", async_mode=False, num_classes=CLASSES)
    for (boxes, scores, labels), (objects, true_labels, difficult) in zip(found, true, strict=True):
        objects, boxes = (np.concatenate([b[:, :2], b[:, 2:] - 1], axis=1) for b in (objects, boxes))
        reference.add(
            np.column_stack([boxes, labels, scores]), np.column_stack([objects, true_labels, difficult, 0 * difficult])
        )
    return reference


def test_voc_ap_equals_a_voc_evaluator():
    found, true = detections_and_truth()
    easy = [(objects, labels, 0 * difficult) for objects, labels, difficult in true]
    reference = evaluator(found, easy)
    eleven = reference.value(0.5, recall_thresholds=np.linspace(0, 1, 11))["mAP"]
    every = reference.value(0.5)["mAP"]
    ours = voc_mean_average_precision(tensors(found), tensors(easy))
    assert ours == pytest.approx((eleven, every), abs=1e-6)
    assert 0.3 < every < 0.9
    assert abs(eleven - every) > 1e-3


def devkit_ap(found, true, label):
    """One class's AP by all points, detection by detection, as VOC's development kit describes it."""
    ranked = sorted(
        ((score, image, box) for image, f in enumerate(found) for box, score, c in zip(*f, strict=True) if c == label),
        key=lambda detection: -detection[0],
    )
    to_find = sum(((labels == label) & (difficult == 0)).sum() for _, labels, difficult in true)
    taken, right, wrong, area, points = set(), 0, 0, 0.0, []
    for _, image, box in ranked:
        objects, labels, difficult = true[image]
        overlaps = box_iou(torch.tensor(box)[None], torch.from_numpy(objects))[0].numpy() * (labels == label)
        best = int(overlaps.argmax())
        if overlaps[best] >= 0.5 and difficult[best]:
            continue
        hit = overlaps[best] >= 0.5 and (image, best) not in taken
        taken.add((image, best) if hit else None)
        right, wrong = right + hit, wrong + (not hit)
        points.append((right / to_find, right / (right + wrong)))
    for place, (recall, _) in enumerate(points):
        before = points[place - 1][0] if place else 0.0
        area += (recall - before) * max(precision for _, precision in points[place:])
    return area


def test_difficult_objects_are_neither_to_be_found_nor_wrong():
    """By a plain loop: the evaluator above mixes up which object is difficult."""
    found, true = detections_and_truth()
    expected = np.mean([devkit_ap(found, true, label) for label in range(CLASSES)])
    ours = voc_mean_average_precision(tensors(found), tensors(true))
    assert ours[1] == pytest.approx(expected, abs=1e-9)
    metric = BoxMAP()
    metric.update(
        [dict(zip(("boxes", "scores", "labels"), image, strict=True)) for image in tensors(found)],
        [dict(zip(("boxes", "labels", "iscrowd"), image, strict=True)) for image in tensors(true)],
    )
    computed = metric.compute()
    assert (float(computed["voc_map_11"]), float(computed["voc_map"])) == pytest.approx(ours, abs=1e-6)


def test_voc_ap_without_objects_or_detections():
    none = (torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    one = (torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([1]), torch.tensor([0]))
    assert all(value != value for value in voc_mean_average_precision([none], [none]))
    assert voc_mean_average_precision([none], [one]) == (0, 0)
    right = (one[0], torch.tensor([0.5]), torch.tensor([1]))
    assert voc_mean_average_precision([right], [one]) == (1, 1)


def test_official_miou_and_label_files_equal_cityscapes_scripts(tmp_path):
    rng = np.random.default_rng(0)
    module = SegmentationModule(num_classes=20, other_class=19, encoder_name="resnet18")
    for split in ("train", "val"):
        for i in range(2):
            stem = f"city_{i:06d}_000019"
            image = tmp_path / "leftImg8bit" / split / "city" / f"{stem}_leftImg8bit.png"
            label = tmp_path / "gtFine" / split / "city" / f"{stem}_gtFine_labelIds.png"
            for path in (image, label):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30)).save(image)
            Image.fromarray(rng.integers(0, 34, (30, 40), dtype=np.uint8)).save(label)
    data = Cityscapes(root=str(tmp_path), size=(30, 40), crop_size=None, batch_size=1)
    data.setup("fit")
    metric = module.stage_metric("test")
    for index in range(2):
        truth = data.test_set[index][1]
        random = torch.from_numpy(rng.integers(0, 20, (30, 40)))
        predicted = torch.where(torch.rand(30, 40) < 0.6, truth.long(), random)
        metric.update(predicted, truth)
        data.export_prediction(tmp_path / "labels", index, predicted)
    args = evalPixelLevelSemanticLabeling.args
    args.quiet, args.evalInstLevelScore, args.JSONOutput = True, False, False
    args.predictionPath, args.predictionWalk = str(tmp_path / "labels"), None
    truth_files = [str(scene.label) for scene in data.test_set.scenes]
    predictions = [evalPixelLevelSemanticLabeling.getPrediction(args, file) for file in truth_files]
    with contextlib.redirect_stdout(io.StringIO()):
        official = evalPixelLevelSemanticLabeling.evaluateImgLists(predictions, truth_files, args)[
            "averageScoreClasses"
        ]
    scores = module.scores(metric.compute())
    assert float(scores["miou_official"]) == pytest.approx(100 * official, abs=1e-12)
    assert float(scores["miou_19"]) != pytest.approx(float(scores["miou_official"]), abs=0.1)


def test_results_file_is_loaded_and_scored_by_pycocotools(tmp_path):
    found, true = detections_and_truth()
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for i in range(IMAGES):
            Image.new("RGB", (130, 130)).save(tmp_path / split / f"{i}.png")
        objects = [(i, *each) for i, image in enumerate(true) for each in zip(*image, strict=True)]
        content = {
            "images": [{"id": 100 + i, "file_name": f"{i}.png", "width": 130, "height": 130} for i in range(IMAGES)],
            "annotations": [
                {
                    "id": number,
                    "image_id": 100 + i,
                    "category_id": 10 + 3 * int(label),
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": (box[2] - box[0]) * (box[3] - box[1]),
                    "iscrowd": int(crowd),
                }
                for number, (i, box, label, crowd) in enumerate(objects, start=1)
            ],
            "categories": [{"id": 10 + 3 * c, "name": f"name{c}"} for c in range(CLASSES)],
        }
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    data = DetectionFolder(root=str(tmp_path), batch_size=1)
    data.setup("fit")
    metric, results = BoxMAP(), []
    for index, (boxes, scores, labels) in enumerate(tensors(found)):
        prediction = {"boxes": boxes.float(), "scores": scores.float(), "labels": labels + 1}
        annotation = data.test_set.annotations[index]
        truth = {"boxes": annotation.boxes, "labels": annotation.labels, "iscrowd": annotation.crowd.long()}
        metric.update([prediction], [truth])
        results += data.coco_results(index, prediction)
    with contextlib.redirect_stdout(io.StringIO()):
        official = COCO(str(tmp_path / "annotations" / "instances_val.json"))
        evaluation = COCOeval(official, official.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = metric.compute()
    names = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")
    assert [float(ours[name]) for name in names] == pytest.approx(evaluation.stats[:6].tolist(), abs=1e-4)


def test_likelihood_and_calibration():
    module = ClassificationModule(network="resnet8", num_classes=3)
    metric = module.stage_metric("test")
    logits, targets = torch.randn(50, 3), torch.randint(3, (50,))
    for part in (slice(0, 30), slice(30, 50)):
        metric.update(logits[part], targets[part])
    scores = module.scores(metric.compute())
    assert scores["nll"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, targets)), abs=1e-5)
    confidence, predicted = logits.softmax(1).max(1)
    bins = (confidence * 15).ceil().long() - 1
    gaps = [
        (mine := bins == b).float().mean()
        * ((predicted == targets)[mine].float().mean() - confidence[mine].mean()).abs()
        for b in bins.unique()
    ]
    assert scores["ece"] == pytest.approx(100 * float(sum(gaps)), abs=1e-3)
