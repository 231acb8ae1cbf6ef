"""What the modules declare about their scores, without building a network."""

import pytest

from lpflu_bench.modules import ClassificationModule, DetectionModule, SegmentationModule
from lpflu_bench.scores import main_score

CLASSIFICATION = dict.fromkeys(("top1_error", "top5_error", "nll", "ece"), "lower")
DETECTION = dict.fromkeys(
    ("map", "map_50", "map_75", "map_small", "map_medium", "map_large", "voc_map_11", "voc_map"), "higher"
)
DECLARED = [
    (ClassificationModule, {"num_classes": 10}, (), CLASSIFICATION),
    (DetectionModule, {"num_classes": 2}, ("a", "b"), DETECTION),
    (
        DetectionModule,
        {"num_classes": 2, "per_class": True},
        ("a", "b"),
        {**DETECTION, "map_a": "higher", "map_b": "higher"},
    ),
    (SegmentationModule, {"num_classes": 19}, (), {"miou": "higher", "pixel_accuracy": "higher"}),
    (
        SegmentationModule,
        {"num_classes": 20, "other_class": 19},
        (),
        {"miou": "higher", "miou_19": "higher", "miou_official": "higher", "pixel_accuracy": "higher"},
    ),
    (
        SegmentationModule,
        {"num_classes": 3, "other_class": 0, "per_class": True},
        ("other", "road", "traffic light"),
        {
            "miou": "higher",
            "miou_2": "higher",
            "pixel_accuracy": "higher",
            "iou_other": "higher",
            "iou_road": "higher",
            "iou_traffic_light": "higher",
        },
    ),
]


@pytest.mark.parametrize(("module", "init_args", "class_names", "expected"), DECLARED)
def test_a_module_declares_its_scores_from_its_arguments(module, init_args, class_names, expected):
    scores = module.declare_scores(init_args, class_names)
    assert {score.name: score.direction for score in scores} == expected
    assert [score.main for score in scores].count(True) == 1
    assert main_score(scores).name == next(iter(expected))
    assert all(score.label and score.unit == ("" if score.name == "nll" else "%") for score in scores)


def test_only_a_classifier_s_errors_are_shares_of_independent_samples():
    shares = {
        score.name
        for module, init_args, names, _ in DECLARED
        for score in module.declare_scores(init_args, names)
        if score.share
    }
    assert shares == {"top1_error", "top5_error"}


def test_the_number_of_classes_is_in_the_name_of_the_score_that_leaves_one_out():
    labels = {s.name: s.label for s in SegmentationModule.declare_scores({"num_classes": 12, "other_class": 11})}
    assert labels["miou_11"] == "mIoU (11 classes)"
    assert "miou_19" not in labels
