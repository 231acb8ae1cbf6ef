"""What a trained network says about each test image: pictures, and one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import BasePredictionWriter

from lpflu_bench.errors import UserError
from lpflu_bench.files import write_text_atomically
from lpflu_bench.modules.base import BenchModule


class PredictionWriter(BasePredictionWriter):
    """Writes predictions into a folder while ``predict`` runs, and ``predictions.csv`` at its end.

    Every kind writes its rows into the table: classification the true class and the five most probable ones of an image,
    detection its boxes, segmentation the classes' shares of the pixels. Detection and segmentation draw on the images
    besides, and segmentation writes masks like the set's own into ``labels``. The
    first columns are the image's index in the test set and its file, where the data is in files. With several processes
    each leaves its own table, ``predictions-RANK.csv``.

    Args:
        folder: where to; created, and files of the same name are overwritten.
        pictures: how many pictures are drawn at most by each process; null draws all.
        form: ``coco`` writes detections as COCO's results file too, ``results.json``.
        score_threshold: detections below it are left out of table and pictures; the results file has all of them.
    """

    def __init__(
        self,
        folder: str | Path,
        pictures: int | None = None,
        form: Literal["table", "coco"] = "table",
        score_threshold: float = 0.0,
    ) -> None:
        super().__init__(write_interval="batch")
        self.folder = Path(folder)
        self.pictures = pictures
        self.form = form
        self.score_threshold = score_threshold
        self._rows: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._seen = 0

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._results, self._seen = [], [], 0
        if self.form == "coco" and not hasattr(trainer.datamodule, "coco_results"):  # type: ignore[attr-defined]
            raise UserError("--format coco is for detection alone: this task has no boxes; leave it out")

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the predictions of a batch."""
        assert isinstance(pl_module, BenchModule)
        assert batch_indices is not None
        data = trainer.datamodule  # type: ignore[attr-defined]
        for index, one in zip(batch_indices, prediction, strict=True):
            path = data.image_path(index) if hasattr(data, "image_path") else None
            drawn = path is not None and (self.pictures is None or self._seen < self.pictures)
            image = data.original_image(index) if drawn else None
            # Files of several folders may have one name; the index in front keeps them apart and in order.
            name = f"{index:06d}" if path is None else f"{index:06d}_{path.stem}"
            if self.form == "coco":
                self._results += data.coco_results(index, one)
            if isinstance(one, dict):
                likely = one["scores"] >= self.score_threshold
                one = {**one, **{key: one[key][likely] for key in ("boxes", "scores", "labels")}}
            rows = pl_module.write_prediction(self.folder, name, image, one, data.class_names)
            if hasattr(data, "export_prediction"):
                data.export_prediction(self.folder / "labels", index, one)
            known = {"true_class": data.true_class(index)} if hasattr(data, "true_class") else {}
            self._rows += [{"index": index, "file": path, **known, **row} for row in rows]
            self._seen += 1

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table."""
        name = "predictions.csv" if trainer.world_size == 1 else f"predictions-{trainer.global_rank}.csv"
        pd.DataFrame(self._rows, columns=None if self._rows else ["index", "file"]).to_csv(
            self.folder / name, index=False
        )
        if self.form == "coco":
            rank = "" if trainer.world_size == 1 else f"-{trainer.global_rank}"
            write_text_atomically(self.folder / f"results{rank}.json", json.dumps(self._results))
