from lpflu_bench.identity import conditions, config_hash, contradictions, identity

CONFIG = {
    "seed_everything": 0,
    "run_dir": "/somewhere/runs/x",
    "model": {
        "class_path": "M",
        "init_args": {"activation": "lpflu", "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.1}}},
    },
    "data": {"class_path": "D", "init_args": {"root": "/mnt/data", "num_workers": 8, "batch_size": 128}},
    "trainer": {"max_epochs": 80, "accelerator": "gpu", "default_root_dir": "/x", "precision": "32-true"},
}
NOISE = {"kind": "gaussian", "strength": 0.1}


def changed(section, **settings):
    part = {**CONFIG[section], **settings}
    if "init_args" in CONFIG[section]:
        part = {**CONFIG[section], "init_args": {**CONFIG[section]["init_args"], **settings}}
    return {**CONFIG, section: part}


def test_identity_has_no_paths_and_keeps_what_decides_the_result():
    kept = identity(CONFIG)
    assert kept["data"]["init_args"] == {"batch_size": 128}
    assert kept["trainer"] == {"max_epochs": 80, "precision": "32-true"}
    assert "run_dir" not in kept
    assert kept["model"] == CONFIG["model"]


def test_hash_ignores_key_order_machine_and_tests_but_not_settings():
    elsewhere = {
        **CONFIG,
        "run_dir": "/other",
        "data": {"init_args": {"batch_size": 128, "root": "D:/"}, "class_path": "D"},
    }
    assert config_hash(elsewhere) == config_hash(CONFIG)
    assert config_hash(changed("data", test_noise=NOISE, test_batch_size=5)) == config_hash(CONFIG)
    assert config_hash(changed("trainer", limit_test_batches=2)) == config_hash(CONFIG)
    assert config_hash({**CONFIG, "seed_everything": 1}) != config_hash(CONFIG)
    assert config_hash(changed("trainer", precision="bf16-mixed")) != config_hash(CONFIG)
    assert config_hash(changed("data", root="embedded")) != config_hash(CONFIG)


def test_a_switch_of_another_release_that_is_off_makes_no_other_run():
    assert config_hash(changed("trainer", new_switch=False, other=None)) == config_hash(CONFIG)
    assert config_hash({**CONFIG, "blend": {"epochs": None}}) == config_hash(CONFIG)
    assert contradictions(changed("trainer", new_switch=False), CONFIG, resuming=False) == []


def test_conditions_are_what_a_test_was_asked_to_measure_besides():
    assert conditions(CONFIG, CONFIG) == {}
    noisy = changed("data", test_noise=NOISE)
    assert conditions(noisy, CONFIG) == {"data.test_noise": NOISE}
    assert conditions(noisy, noisy) == {"data.test_noise": NOISE}  # it has no meaning for training
    assert conditions(noisy, CONFIG, {"data.test_noise": None}) == {}
    assert conditions(CONFIG, CONFIG, {"data.test_noise": NOISE}) == {"data.test_noise": NOISE}


def test_a_test_may_be_run_in_another_way_and_not_contradict_the_training():
    for section, settings in (
        ("data", {"batch_size": 2, "root": "/other", "num_workers": 0, "test_noise": NOISE}),
        ("trainer", {"devices": 4, "accelerator": "cpu", "limit_test_batches": 1}),
        ("model", {"compile": True, "channels_last": True}),
    ):
        assert contradictions(changed(section, **settings), CONFIG, resuming=False) == []
    for section, settings, key in (
        ("trainer", {"max_epochs": 3}, "trainer.max_epochs"),
        ("trainer", {"precision": "bf16-mixed"}, "trainer.precision"),
        ("data", {"augmentation": "flip"}, "data.augmentation"),
        ("model", {"activation": "mish"}, "model.activation"),
        ("model", {"schedule": {"class_path": "S"}}, "model.schedule.class_path"),
        ("model", {"optimizer": {"class_path": "SGD", "init_args": {"lr": 0.1}}}, "model.optimizer.class_path"),
    ):
        assert [found[0] for found in contradictions(changed(section, **settings), CONFIG, resuming=False)] == [key]
    (found,) = contradictions({**CONFIG, "seed_everything": 3}, CONFIG, resuming=False)
    assert found == ("seed_everything", 3, 0)


def test_a_resumed_training_may_only_be_longer():
    assert contradictions(changed("trainer", max_epochs=90), CONFIG, resuming=True) == []
    assert contradictions(changed("data", batch_size=2), CONFIG, resuming=True) == [("data.batch_size", 2, 128)]
    assert contradictions(changed("trainer", devices=2), CONFIG, resuming=True) == [("trainer.devices", 2, None)]
