"""What the record of a run says, whatever became of the run."""

import signal

import pytest
import torch
from pytorch_lightning import Callback
from synthetic_records import DEPLOYED
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.callbacks.checkpoint import last_checkpoint
from lpflu_bench.callbacks.clock import Clock, PeakMemory
from lpflu_bench.callbacks.record import RunRecord
from lpflu_bench.environment import file_hash
from lpflu_bench.errors import UserError
from lpflu_bench.record_files import read_record, write_record

CPU = torch.device("cpu")


class Stop(Callback):
    """Ends a training after its first epoch or before its first step, or breaks the second epoch."""

    def __init__(self, how):
        self.how = how

    def on_train_epoch_start(self, trainer, pl_module):
        if isinstance(self.how, BaseException) and trainer.current_epoch == 1:
            raise self.how

    def on_fit_start(self, trainer, pl_module):
        if self.how == "at once":
            pl_module.on_train_batch_start = lambda batch, batch_idx: -1  # Lightning skips the rest of the epoch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.how == "early" and trainer.is_last_batch:
            trainer.should_stop = True


def trainer_of(folder, *callbacks, **settings):
    record = RunRecord(folder, task="tiny", config={"seed_everything": 0})
    settings = {"max_epochs": 2, "enable_checkpointing": True, **settings}
    callbacks = [*callbacks, record, last_checkpoint(folder / "checkpoints")]
    return quiet_trainer(folder, callbacks=callbacks, **settings)


def fitted(folder, *callbacks, data=None, module=None, **settings):
    trainer = trainer_of(folder, *callbacks, **settings)
    trainer.fit(module or TinyModule(), data or TinyData())
    return trainer


def scored(folder, data=None, **settings):
    trainer_of(folder, **settings).test(
        TinyModule(),
        data or TinyData(),
        ckpt_path=str(folder / "checkpoints/last.ckpt"),
        weights_only=True,
        verbose=False,
    )
    return read_record(folder / "record.json")


def test_fitted_then_finished_and_what_was_trained_stays(tmp_path):
    fitted(tmp_path, accumulate_grad_batches=3, precision="bf16-mixed")
    record = read_record(tmp_path / "record.json")
    assert (record["status"], record["tested"]) == ("fitted", [])
    trained = record["trained"]
    assert (trained["batch_size"], trained["total_batch_size"], trained["devices"]) == (4, 12, 1)
    assert (trained["epochs"], trained["steps"], trained["precision"]) == (2, 4, "bf16-mixed")
    assert trained["optimizer"] == "Adam"
    assert [point["epoch"] for point in trained["curve"]] == [1, 2]
    assert {"train_loss", "val_loss", "val_top1_error"} <= set(trained["curve"][0])
    record = scored(tmp_path, data=TinyData(batch_size=8), max_epochs=7)
    assert (record["status"], record["trained"]) == ("finished", trained)
    (test,) = record["tested"]
    assert (test["batch_size"], test["precision"], test["num_samples"]) == (8, "32-true", 16)


@pytest.mark.parametrize(
    ("callbacks", "settings", "status", "incomplete"),
    [
        ([Stop("early")], {}, "partial", "1 of 2 epochs"),
        ([Stop("at once")], {"max_epochs": 1}, "partial", "0 of 1 epochs"),
        ([], {"fast_dev_run": True}, "partial", "fast_dev_run"),
        ([], {"max_time": {"seconds": 0}, "max_epochs": 5}, "interrupted", "0 of 5 epochs"),
        ([Stop(RuntimeError("broken"))], {}, "failed", "1 of 2 epochs"),
        ([Stop(KeyboardInterrupt())], {}, "interrupted", "1 of 2 epochs"),
    ],
)
def test_a_status_for_each_truth(tmp_path, callbacks, settings, status, incomplete):
    handler = signal.getsignal(signal.SIGINT)
    try:
        fitted(tmp_path, *callbacks, **settings)
    except (RuntimeError, SystemExit):
        assert status in ("failed", "interrupted")
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores the signal from an interrupt on
    record = read_record(tmp_path / "record.json")
    assert (record["status"], record["trained"]["incomplete"]) == (status, incomplete)
    assert len(record["trained"]["curve"]) == record["trained"]["epochs"]
    if status == "failed":
        assert record["error"] == "RuntimeError: broken"
        assert record["failed_at"] == {"epoch": 1, "step": 4}


def test_what_was_trained_in_part_is_tested_as_that(tmp_path):
    fitted(tmp_path, Stop("early"))
    record = scored(tmp_path)
    assert (record["status"], record["tested"][0]["incomplete"]) == ("partial", None)


def test_a_part_of_the_test_set_is_no_finished_run_and_the_whole_takes_its_place(tmp_path):
    fitted(tmp_path)
    record = scored(tmp_path, limit_test_batches=1)
    assert (record["status"], record["tested"][0]["incomplete"]) == ("partial", "4 of 16 test samples")
    record = scored(tmp_path)
    assert (record["status"], len(record["tested"])) == ("finished", 1)


def test_a_test_that_misses_a_sample_fails_and_leaves_the_record_as_it_was(tmp_path):
    fitted(tmp_path)
    scored(tmp_path)
    before = (tmp_path / "record.json").read_bytes()
    data = TinyData()
    data.test_size = 17
    with pytest.raises(RuntimeError, match="the test set has 17 samples, 16 were scored"):
        scored(tmp_path, data=data)
    assert (tmp_path / "record.json").read_bytes() == before


def test_a_fit_that_never_started_leaves_no_record(tmp_path):
    class Broken(TinyData):
        def setup(self, stage):
            raise UserError("no data")

    with pytest.raises(UserError, match="no data"):
        fitted(tmp_path, data=Broken())
    assert not (tmp_path / "record.json").exists()


def test_a_test_set_without_anything_to_score_is_an_error(tmp_path, monkeypatch):
    fitted(tmp_path)
    monkeypatch.setattr(TinyModule, "scores", lambda self, computed: {"top1_error": float("nan")})
    with pytest.raises(UserError, match="nothing to score"):
        scored(tmp_path)
    assert read_record(tmp_path / "record.json")["status"] == "fitted"


def test_a_record_that_cannot_be_used_is_set_aside(tmp_path, capsys):
    fitted(tmp_path)
    (tmp_path / "record.json").write_text("{")
    assert scored(tmp_path)["status"] == "finished"
    assert "set aside" in capsys.readouterr().err


def test_the_file_of_the_user_s_own_function_is_known_by_its_content(tmp_path, monkeypatch):
    (tmp_path / "my_own_bend.py").write_text(
        "import torch\nclass Bend(torch.nn.Module):\n    def forward(self, x):\n        return torch.relu(x) + 0.1 * x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    fitted(tmp_path / "own", module=TinyModule(activation="my_own_bend.Bend"), max_epochs=1)
    fitted(tmp_path / "ours", module=TinyModule(activation="lpflu"), max_epochs=1)
    own, ours = (read_record(tmp_path / name / "record.json")["trained"]["code"] for name in ("own", "ours"))
    assert own["activation"] == file_hash(tmp_path / "my_own_bend.py")
    assert ours["activation"] is None
    assert own["package"] == ours["package"]


def test_the_clock_leaves_pauses_and_the_first_epoch_out(monkeypatch):
    now = iter([0.0, 1.0, 5.0, 7.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr("lpflu_bench.callbacks.clock.time.perf_counter", lambda: next(now))
    clock = Clock()
    clock.start(CPU)
    clock.count(10)
    clock.pause(CPU)  # 1 s of work, then a validation of 4 s
    clock.pause(CPU)  # the same pause
    clock.resume(CPU)
    clock.stop(CPU)  # 2 s more
    for _ in range(2):
        clock.start(CPU)
        clock.count(10)
        clock.stop(CPU)
    assert [epoch["seconds"] for epoch in clock.epochs] == [3.0, 1.0, 2.0]
    assert clock.seconds == 6.0
    assert clock.images_per_second(1) == 7.5  # the median of 10 and 5, without the first 3.3
    assert clock.images_per_second(2) == 15.0


def test_validation_is_no_training_time(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("lpflu_bench.callbacks.clock.time.perf_counter", lambda: now)

    class TakesTime(TinyModule):
        def training_step(self, batch, batch_idx):
            nonlocal now
            now += 1
            return super().training_step(batch, batch_idx)

        def validation_step(self, batch, batch_idx):
            nonlocal now
            now += 100
            super().validation_step(batch, batch_idx)

    fitted(tmp_path, module=TakesTime(), val_check_interval=2)  # within the epoch of four steps, and at its end
    trained = read_record(tmp_path / "record.json")["trained"]
    assert trained["seconds"] == 2 * 4
    assert trained["images_per_second"] == 4


def test_an_earlier_run_in_the_process_does_not_raise_the_peak():
    memory = PeakMemory()
    memory.start(CPU)
    before = memory.megabytes(CPU)
    big = [torch.ones(25, 1024, 1024) for _ in range(4)]  # 400 MB
    assert memory.megabytes(CPU) > before + 300
    del big
    memory.start(CPU)
    after = memory.megabytes(CPU)
    if after is None:
        pytest.skip("the system's mark cannot be reset here")
    assert after < before + 100


def test_a_further_test_keeps_what_deploy_measured_until_the_run_is_trained_on(tmp_path):
    fitted(tmp_path)
    record = scored(tmp_path)
    write_record({**record, "deployed": DEPLOYED}, tmp_path / "record.json")
    assert scored(tmp_path)["deployed"] == DEPLOYED
    fitted(tmp_path)
    assert "deployed" not in scored(tmp_path)
