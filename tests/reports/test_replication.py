import pytest
from synthetic_records import FUNCTIONS, detection, grid, published_config, record, spec

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.published import load_published
from lpflu_bench.reports.replication import Finding, differing_note

REGNET, B0 = "regnet_y_800mf", "efficientnet_b0"
# Typed from the paper's tables independently of the CSV files; in the order of FUNCTIONS.
ADAM = {
    "top1_error": [32.69, 31.65, 31.98, 31.71, 32.76, 31.26],
    "top5_error": [10.61, 10.26, 10.23, 10.33, 10.99, 10.21],
}
SGD = {
    "top1_error": [35.71, 33.36, 33.30, 32.02, 33.13, 33.40],
    "top5_error": [12.17, 10.87, 10.69, 9.42, 10.36, 11.05],
}
PLAIN = {
    "top1_error": [38.48, 36.46, 37.45, 36.49, 36.11, 36.29],
    "top5_error": [14.13, 12.50, 13.08, 12.55, 12.52, 12.94],
}
NOISY = {
    "top1_error": [35.02, 36.07, 35.28, 35.65, 37.63, 34.73],
    "top5_error": [11.38, 12.55, 11.80, 12.60, 13.90, 11.63],
}
SMALL = {
    "top1_error": [32.10, 32.22, 31.76, 32.89, 33.54, 32.15],
    "top5_error": [10.25, 10.53, 10.33, 11.08, 11.03, 10.35],
}
VOC = {
    "map_50": [36.4, 36.4, 37.1, 37.1, 36.7, 37.8],
    "map": [19.4, 19.9, 20.0, 20.0, 19.8, 20.5],
    "map_75": [18.6, 19.4, 19.3, 19.4, 19.0, 19.8],
}
CITY = {
    "miou": [48.45, 49.88, 49.76, 48.20, 48.81, 50.23],
    "pixel_accuracy": [91.45, 91.64, 91.63, 91.37, 91.58, 91.77],
}
TABLES = {
    "table1": [("cifar100", REGNET, {"optimizer": "adam"}, ADAM), ("cifar100", REGNET, {"optimizer": "sgd"}, SGD)],
    "table2": [
        ("cifar100", REGNET, {"augmentation": "on"}, ADAM),
        ("cifar100", REGNET, {"augmentation": "off"}, PLAIN),
    ],
    "table3": [("cifar100", REGNET, {"noise": "off"}, ADAM), ("cifar100", REGNET, {"noise": "on"}, NOISY)],
    "table4": [("cifar100", REGNET, {}, ADAM), ("cifar100", B0, {}, SMALL)],
    "table5": [("voc", "ssdlite", {}, VOC)],
    "table6": [("cityscapes", "unet", {}, CITY)],
    "table7": [
        ("speed", "", {"device": "cpu"}, {"passes_per_second": [22.27, 0.90, 3.65, 0.78, 3.41, 2.20]}),
        ("speed", "", {"device": "gpu"}, {"passes_per_second": [435.09, 19.13, 55.86, 15.93, 69.01, 39.23]}),
    ],
}


@pytest.mark.parametrize("table", TABLES)
def test_the_files_hold_the_papers_numbers_and_nothing_else(table):
    rows = load_published(table).rows
    expected = {}
    for task, network, setting, metrics in TABLES[table]:
        for metric, values in metrics.items():
            for activation, value in zip(FUNCTIONS, values, strict=True):
                expected[table[-1], task, network, *setting.values(), activation, metric] = value
    settings = list(TABLES[table][0][2])
    assert list(rows[0]) == ["table", "task", "network", *settings, "activation", "metric", "value"]
    found = {tuple(row.values())[:-1]: float(row["value"]) for row in rows}
    assert len(found) == len(rows)
    assert found == expected


def test_an_unknown_table_or_a_broken_file_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no published table 'table9'; the nearest are table"):
        load_published("table9")
    path = tmp_path / "mine.csv"
    path.write_text("table,task,network,activation,metric\n")
    with pytest.raises(UserError, match="lacks the column value"):
        load_published(str(path))
    path.write_text("table,task,network,activation,metric,value\n1,cifar100,,relu,top1_error,high\n")
    with pytest.raises(UserError, match=r"line 2: the value 'high' is not a number"):
        load_published(str(path))


def replicated(records, axes=(), **changes):
    settings = {"published": "table4", "metrics": ("top1_error",), "reference": "relu"} | changes
    return analyse(spec(axes, **settings), records).replication


def measured(differences, **axes):
    """Runs of ReLU and of functions that differ from it by so much, with the published settings."""
    effects = {"relu": 0.0, **differences}
    values = {name: [value] for name, value in axes.items()}
    records = grid(sd=0.01, functions=list(effects), base=32.69, effects=effects, **values)
    for item in records:
        item["trained"]["config"] = published_config(item)
    return records


def findings(replication):
    return {pair.activation: pair.finding for pair in replication.columns[0].pairs}


def test_differences_to_the_reference_are_confirmed_contradicted_or_undecided():
    # The paper's Table 4, RegNetY: mish -1.04, gish +0.07, lpflu -1.43, smu -0.98 against ReLU.
    records = measured({"mish": -0.5, "gish": -0.6, "lpflu": 0.7, "smu": 0.0})
    replication = replicated(records)
    assert findings(replication) == {
        "mish": Finding.CONFIRMED,
        "gish": Finding.CONTRADICTED,
        "lpflu": Finding.CONTRADICTED,
        "smu": Finding.UNDECIDED,
    }
    pairs = {pair.activation: pair for pair in replication.columns[0].pairs}
    assert pairs["mish"].published == pytest.approx(31.65 - 32.69)
    assert pairs["mish"].difference == pytest.approx(-0.5, abs=0.03)
    assert pairs["mish"].size_agrees is False
    assert differing_note(replication.columns[0]) == ""


def test_equivalence_contradicts_a_published_difference_and_confirms_one_below_the_margin():
    records = measured({"smu": 0.0, "gish": 0.0, "mish": -0.5})
    assert findings(replicated(records, rule=Rule(margin={"": 0.2}))) == {
        "smu": Finding.CONTRADICTED,  # -0.98 in the paper
        "gish": Finding.CONFIRMED,  # +0.07
        "mish": Finding.CONFIRMED,
    }


def test_the_level_of_both_does_not_count_only_their_difference_does():
    shifted = measured({"mish": -0.5})
    for item in shifted:
        item["tested"][0]["metrics"]["top1_error"] += 20
    assert findings(replicated(shifted)) == {"mish": Finding.CONFIRMED}


def test_other_settings_than_the_published_ones_are_named_key_by_key_and_nothing_is_concluded():
    records = measured({"mish": -0.5})
    for item in records:
        item["trained"]["config"]["data"]["init_args"]["augmentation"] = "none"
        item["trained"]["config"]["trainer"]["max_epochs"] = 10
    (item,) = replicated(records).columns
    assert findings(replicated(records)) == {"mish": Finding.NOT_COMPARABLE}
    assert item.pairs[0].size_agrees is None
    note = differing_note(item)
    assert "data.augmentation none (published: jitter_flip)" in note
    assert "trainer.max_epochs 10 (published: 80)" in note
    assert item.differing.keys() == {"data.augmentation", "trainer.max_epochs"}


def test_the_demo_set_is_not_the_published_one():
    records = measured({"mish": -0.5})
    for item in records:
        item["trained"]["config"]["data"]["init_args"]["root"] = "embedded"
    assert replicated(records).columns[0].differing == {"data.root": ("embedded", None)}


def test_a_column_of_the_table_changes_the_published_settings():
    records = measured({"mish": -0.5}, optimizer="sgd") + measured({"mish": -0.5}, optimizer="adam")
    adam, sgd = replicated(records, ["optimizer"], published="table1").columns
    assert adam.differing == {}
    assert sgd.differing.keys() == {"model.optimizer", "model.optimizer.lr", "model.optimizer.momentum"}
    sgd_config = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.2, "momentum": 0.9}}
    for item in records[:10]:
        item["trained"]["config"]["model"]["init_args"]["optimizer"] = sgd_config
    adam, sgd = replicated(records, ["optimizer"], published="table1").columns
    assert (adam.differing, sgd.differing) == ({}, {})


def test_yaml_switches_match_on_and_off():
    records = measured({"mish": -0.5}, augmentation=False)
    (item,) = replicated(records, ["augmentation"], published="table2").columns
    assert item.pairs[0].published == pytest.approx(36.46 - 38.48)
    assert item.differing == {"data.augmentation": ("jitter_flip", "none")}


def test_networks_are_told_apart_by_axis_or_by_record():
    records = measured({"mish": -0.5}, network=REGNET) + measured({"mish": -0.5}, network=B0)
    for item in records:
        item["cell"]["network"] = item["trained"]["network"]
    first, second = replicated(records, ["network"]).columns
    found = sorted([first.pairs[0].published, second.pairs[0].published])
    assert found == pytest.approx([31.65 - 32.69, 32.22 - 32.10])
    two = [detection(name, 0, 18.5, network="ssdlite320_mobilenet_v3_large") for name in ("relu", "lpflu")]
    (item,) = replicated(two, published="table5", metrics=("map_50",)).columns
    assert item.pairs[0].published == pytest.approx(37.8 - 36.4)


def test_what_is_not_in_the_table_is_named_with_its_reason(tmp_path):
    for changes, reason in [
        ({"network": "resnet18"}, "no network resnet18"),
        ({"task": "cifar10"}, "top1_error of cifar10 is not"),
    ]:
        two = [record(name, 0, 31.0, **changes) for name in ("relu", "lpflu")]
        replication = replicated(two)
        assert not replication.columns
        assert reason in replication.notes[0]
    two = [record(name, 0, 31.0) for name in ("relu", "lpflu")]
    assert "distinguishes optimizer, the study does not" in replicated(two, published="table1").notes[0]
    own = tmp_path / "mine.csv"
    own.write_text(
        "table,task,network,activation,metric,value\n1,cifar100,,relu,top1_error,32\n1,cifar100,,mish,top1_error,31\n"
    )
    replication = replicated(measured({"mish": -0.5}), published=str(own))
    assert findings(replication) == {"mish": Finding.CONFIRMED}
    assert "settings of the published runs are not stated" in replication.notes[0]
    assert replicated(two, published=None) is None
