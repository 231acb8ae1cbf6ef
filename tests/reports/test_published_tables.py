import math

import pytest
from synthetic_records import TOP1, detection, record, spec

from lpflu_bench.errors import UserError
from lpflu_bench.reports.published import compare_with_paper, load_published, ordering, published_frame
from lpflu_bench.reports.results import result_blocks
from lpflu_bench.reports.runs import collect

FUNCTIONS = ["relu", "mish", "pflu", "smu", "gish", "lpflu"]
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
    frame = load_published(table)
    expected = {}
    for task, network, setting, metrics in TABLES[table]:
        for metric, values in metrics.items():
            for activation, value in zip(FUNCTIONS, values, strict=True):
                expected[table[-1], task, network, *setting.values(), activation, metric] = value
    settings = list(TABLES[table][0][2])
    assert list(frame.columns) == ["table", "task", "network", *settings, "activation", "metric", "value"]
    found = {tuple(line[:-1]): line[-1] for line in frame.itertuples(index=False)}
    assert len(found) == len(frame)
    assert found == expected


def test_an_unknown_table_or_a_broken_file_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no published table 'table9'; the nearest are table"):
        load_published("table9")
    path = tmp_path / "mine.csv"
    path.write_text("table,task,network,activation,metric\n")
    with pytest.raises(UserError, match="lacks the column value"):
        load_published(str(path))
    path.write_text("table,task,network,activation,metric,value\n1,cifar100,,relu,top1_error,about 31\n")
    with pytest.raises(UserError, match="not a number"):
        load_published(str(path))


def compared(records, **changes):
    study = spec(changes.pop("axes", ()), **changes)
    runs = collect(study, records)
    return study, compare_with_paper(study, runs, result_blocks(study, runs))


def published_records(values=ADAM["top1_error"], seeds=1, offset=0.0, **axes):
    return [
        record(name, seed, value + offset + 0.1 * (seed % 3), **axes)
        for name, value in zip(FUNCTIONS, values, strict=True)
        for seed in range(seeds)
    ]


def test_measured_cells_find_their_published_value():
    records = published_records(optimizer="adam") + published_records(SGD["top1_error"], optimizer="sgd", offset=3.0)
    study, paper = compared(records, axes=["optimizer"], published="table1", metrics=("top1_error",))
    adam, sgd = paper.blocks
    assert {cell.activation: cell.published for cell in adam.cells} == dict(
        zip(FUNCTIONS, ADAM["top1_error"], strict=True)
    )
    assert all(cell.difference == pytest.approx(0) and cell.inside for cell in adam.cells)
    assert all(cell.difference == pytest.approx(3) and cell.inside is False for cell in sgd.cells)
    assert adam.cells[0].interval.method == "Wilson, test set"
    assert adam.ordering.tau == pytest.approx(1)
    assert (adam.ordering.kept, adam.ordering.pairs) == (15, 15)
    assert len(published_frame(study, paper)) == 12
    assert paper.notes == []


def test_several_seeds_are_compared_by_where_one_more_run_is_expected():
    _, paper = compared(published_records(seeds=6, optimizer="adam"), axes=["optimizer"], published="table1")
    block = next(item for item in paper.blocks if item.block.metric == TOP1)
    assert block.cells[0].interval.method == "t, one further run"
    assert block.cells[0].inside is True


def test_yaml_switches_match_on_and_off():
    _, paper = compared(
        published_records(augmentation=True) + published_records(PLAIN["top1_error"], augmentation=False),
        axes=["augmentation"],
        published="table2",
        metrics=("top1_error",),
    )
    assert [item.block.place.setting for item in paper.blocks] == [("off",), ("on",)]
    assert all(cell.difference == pytest.approx(0) for item in paper.blocks for cell in item.cells)


def test_networks_are_told_apart_by_axis_or_by_record():
    two = [record("lpflu", 0, 31.26, network=REGNET), record("lpflu", 0, 32.15, network=B0)]
    for item in two:
        item["cell"]["network"] = item["network"]
    _, paper = compared(two, axes=["network"], published="table4", metrics=("top1_error",))
    assert [item.cells[0].published for item in paper.blocks] == [32.15, 31.26]
    one = detection("lpflu", 0, 18.5, network="ssdlite320_mobilenet_v3_large")
    _, paper = compared([one], published="table5", metrics=("map_50",))
    assert paper.blocks[0].cells[0].published == 37.8
    assert paper.blocks[0].cells[0].interval is None  # one run, and mAP is no share of independent samples
    assert paper.blocks[0].ordering is None


def test_what_is_not_comparable_is_named_with_its_reason():
    for changes, reason in [
        ({"network": "resnet18"}, "no network resnet18"),
        ({"task": "cifar10"}, "top1_error of cifar10 is not"),
    ]:
        _, paper = compared([record("lpflu", 0, 31.0, **changes)], published="table4", metrics=("top1_error",))
        assert not paper.blocks
        assert reason in paper.notes[0]
    _, paper = compared([record("lpflu", 0, 31.0)], published="table1", metrics=("top1_error",))
    assert "distinguishes optimizer, the study does not" in paper.notes[0]
    _, paper = compared([record("lpflu", 0, 31.0, epochs=10)], published="table4", metrics=("top1_error",))
    assert "10 epochs" in paper.notes[0]
    assert compared([record("lpflu", 0, 31.0)])[1] is None


def test_reversed_pairs_are_contradictions_only_where_separable():
    published = {"relu": 32.0, "lpflu": 31.0}
    clear, unclear = [-1.5, -1.4, -1.6, -1.5], [-3.0, 2.0, -2.0, 1.5]
    for leads, contradicted in ((clear, (("lpflu", "relu"),)), (unclear, ())):
        records = [record("lpflu", seed, 31.0) for seed in range(4)]
        records += [record("relu", seed, 31.0 + lead) for seed, lead in enumerate(leads)]
        study = spec(metrics=("top1_error",))
        runs = collect(study, records)
        order = ordering(result_blocks(study, runs)[0], published)
        assert order.tau == pytest.approx(-1)
        assert order.reversed == (("lpflu", "relu"),)
        assert order.contradicted == contradicted
    tied = ordering(result_blocks(study, runs)[0], {"relu": 1.0, "lpflu": 1.0})
    assert math.isnan(tied.tau)
    assert tied.pairs == 0
