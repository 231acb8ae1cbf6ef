from pathlib import Path

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.paths import resource_path
from lpflu_bench.studies.grid import make_plan
from lpflu_bench.studies.overrides import apply_overrides
from lpflu_bench.studies.resolve import Resolver
from lpflu_bench.studies.study_file import load_study

STUDIES = sorted(Path(resource_path("configs/studies")).glob("*.yaml"))


@pytest.fixture(scope="module")
def resolver():
    return Resolver()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_cell_of_a_shipped_study_is_valid(path, resolver):
    study = load_study(path)
    plan = make_plan(study, resolver)
    assert len({cell.hash for cell in plan.cells}) == len(plan.cells)
    if study.published:
        assert resource_path(f"results/published/{study.published}.csv").exists()


def test_a_composed_configuration_is_the_parsed_one(resolver):
    study = load_study(Path(resource_path("configs/studies/table1.yaml")))
    plan = make_plan(study, resolver)
    cell = next(c for c in plan.cells if (c.labels["activation"], c.labels["optimizer"], c.seed) == ("lpflu", "sgd", 2))
    alone = resolver.resolve([*study.bases, "configs/sgd.yaml"], {"model.activation": "lpflu", "seed_everything": 2})
    assert plan.config(cell) == alone


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("trainer.max_epohcs=3", "max_epohcs.*max_epochs"),
        ("activation=[relu, lplfu]", "activation = lplfu.*lpflu"),
        ("data.batch_size=0", "batch_size"),
        ("model.network=regnet_y_801mf", "regnet_y_801mf"),
        ("trainer.precision=17", "precision"),
        ("model.schedule.decay_end_epoch=0.5", "schedule"),
    ],
)
def test_an_invalid_cell_is_found_in_the_plan(setting, expected, resolver):
    study = apply_overrides(load_study(Path(resource_path("configs/studies/table4.yaml"))), settings=[setting])
    with pytest.raises(UserError, match=expected) as caught:
        make_plan(study, resolver)
    assert "\n" not in str(caught.value)
