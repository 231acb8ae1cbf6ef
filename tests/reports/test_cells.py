import json

import pandas as pd
import pytest
from synthetic_records import detection, grid, record, result_of_test

from lpflu_bench.reports.cells import cell_rows, flatten


def cells_frame(records):
    columns, rows = cell_rows(records)
    return pd.DataFrame(rows, columns=columns, dtype=object)


def test_flatten_dots_nested_keys_and_leaves_layer_tables_out():
    flat = flatten(record("lpflu", 0, 31.26, optimizer="adam"))
    assert flat["network"] == "regnet_y_800mf"
    assert flat["config.model.init_args.activation"] == "lpflu"
    assert json.loads(flat["config.model.init_args.betas"]) == [0.9, 0.999]
    assert flat["placement.slopes.ema"] == 44
    assert flat["cell.optimizer"] == "adam"
    assert "curve" not in flat
    assert "placement.layers" not in flat


def test_order_of_rows_and_columns_does_not_depend_on_the_order_of_records():
    records = grid(3, batch_size=[16, 128])
    one, two = cells_frame(records), cells_frame(records[::-1])
    assert one.to_csv() == two.to_csv()
    assert list(one.columns[:7]) == ["task", "kind", "network", "activation", "seed", "weights", "status"]
    assert list(one["cell.batch_size"][:1]) == [16]
    assert one.columns.get_loc("metrics.top1_error") < one.columns.get_loc("config.trainer.max_epochs")


def test_runs_with_other_metrics_keep_their_own_columns_and_whole_numbers():
    other = detection("relu", 0, 20.5)
    other["trained"]["parameters"] = None
    frame = cells_frame([record("lpflu", 0, 31.0), other])
    assert {"metrics.top1_error", "metrics.map"} <= set(frame.columns)
    text = frame.to_csv(index=False)
    assert ",5600000," in text
    assert frame["metrics.map"].isna().tolist() == [True, False]


def test_weight_averaging_gives_two_rows():
    item = record("lpflu", 0, 31.0)
    item["tested"].append(result_of_test({"top1_error": 30.0}, weights="averaged"))
    frame = cells_frame([item])
    assert frame["weights"].tolist() == ["averaged", "raw"]
    assert frame["metrics.top1_error"].tolist() == [30.0, 31.0]


def test_each_condition_of_test_is_a_row():
    item = record("lpflu", 0, 31.0)
    noise = {"data.test_noise": {"kind": "gaussian", "strength": 0.1}}
    item["tested"].append(result_of_test({"top1_error": 60.0}, conditions=noise))
    frame = cells_frame([item])
    assert frame["metrics.top1_error"].tolist() == [31.0, 60.0]
    assert frame["conditions.data.test_noise.strength"].fillna(0).tolist() == [0, 0.1]


@pytest.mark.parametrize("records", [[], [record("relu", 0, 30.0) | {"status": "failed", "tested": []}]])
def test_few_or_failed_records_are_a_table_too(records):
    frame = cells_frame(records)
    assert len(frame) == len(records)
    assert "task" in frame.columns
