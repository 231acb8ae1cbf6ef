"""The classes that a network was trained on are in its record, and others are refused at test."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny import TinyModule, quiet_trainer

from lpflu_bench.callbacks.record import RunRecord
from lpflu_bench.data import ImageFolder
from lpflu_bench.errors import UserError


def folder(root, names):
    for split in ("train", "test"):
        for number, name in enumerate(names):
            path = root / split / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(np.full((8, 8, 3), 60 * number, np.uint8)).save(path)
    return ImageFolder(root=str(root), image_size=8, batch_size=2, augmentation="none")


def test_classes_are_recorded_and_others_refused(tmp_path):
    module = TinyModule(num_classes=2)
    record = RunRecord(tmp_path)
    trainer = quiet_trainer(tmp_path, max_epochs=1, callbacks=[record])
    trainer.fit(module, datamodule=folder(tmp_path / "a", ["ant", "bee"]))
    assert json.loads((tmp_path / "record.json").read_text())["trained"]["class_names"] == ["ant", "bee"]
    fresh = RunRecord(tmp_path)
    fresh.load_state_dict(record.state_dict())
    trainer = quiet_trainer(tmp_path, callbacks=[fresh])
    with pytest.raises(UserError, match="class 2 of the data is 'cat', the network was trained with 'bee'"):
        trainer.test(module, datamodule=folder(tmp_path / "b", ["ant", "cat"]), verbose=False)
