from lpflu_bench.seeding import derive_seed, run_seed


def test_derived_seeds_are_pure_and_differ_by_every_key():
    seeds = {
        derive_seed(s, *k) for s in range(3) for k in [("order", 0), ("order", 1), ("augment", 0), ("augment", 0, 1)]
    }
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "order", 7) == derive_seed(0, "order", 7)


def test_run_seed_is_the_one_given(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "41")
    assert run_seed() == 41
