"""Cityscapes, and any street (or other) scenes in its layout."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lpflu_bench.data.augment import JitterStrength, jitter_colors, to_float
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.embedded import EMBEDDED, embedded_root
from lpflu_bench.data.image_cache import CacheMode
from lpflu_bench.data.image_files import read_image
from lpflu_bench.data.segmentation_labels import label_table
from lpflu_bench.data.segmentation_set import Scene, TestScenes, TrainingScenes, read_label
from lpflu_bench.data.synthetic_cityscapes import SCENES_NAME, draw_scenes
from lpflu_bench.errors import UserError

IMAGES, LABELS = "leftImg8bit", "gtFine"
# ImageNet's channel statistics: near enough to any photographs', and the same for every data set.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGE_SUFFIX, _LABEL_SUFFIX = "_leftImg8bit", "_gtFine_labelIds.png"


def find_scenes(root: Path, split: str) -> list[Scene]:
    """Return a split's pairs of image and label, sorted by city and name.

    Args:
        root: the folder that holds ``leftImg8bit`` and ``gtFine``.
        split: ``train``, ``val``, or any folder that is in both.

    Raises:
        UserError: a folder is not where it should be, or the split is empty.
    """
    _check_layout(root)
    folder = root / IMAGES / split
    if not folder.is_dir():
        there = sorted(path.name for path in (root / IMAGES).iterdir() if path.is_dir())
        raise UserError(f"{folder} is missing: {root / IMAGES} has the splits {', '.join(there) or '(none)'}")
    scenes = []
    for image in sorted(folder.glob(f"*/*{_IMAGE_SUFFIX}.*")):
        stem = image.stem.removesuffix(_IMAGE_SUFFIX)
        scenes.append(Scene(image, root / LABELS / split / image.parent.name / f"{stem}{_LABEL_SUFFIX}"))
    if not scenes:
        raise UserError(f"{folder} is empty: expected CITY/NAME{_IMAGE_SUFFIX}.png in it")
    return scenes


def _check_layout(root: Path) -> None:
    if (root / IMAGES).is_dir():
        if not (root / LABELS).is_dir():
            raise UserError(f"data.root: {root / LABELS} is missing; the labels come as gtFine_trainvaltest.zip")
        return
    absolute = root.resolve()
    above = [folder for folder in (absolute.parent, absolute.parent.parent) if (folder / IMAGES).is_dir()]
    below = [folder for folder in sorted(root.iterdir()) if (folder / IMAGES).is_dir()]
    if above:
        raise UserError(
            f"data.root: {root} is one level too deep: {IMAGES} and {LABELS} are in {above[0]}; pass that folder"
        )
    if below:
        raise UserError(f"data.root: {root} is a parent of the dataset folder {below[0]}: pass that one")
    raise UserError(f"data.root: {root} has no folder {IMAGES}. {Cityscapes.layout}")


def crop_and_flip(
    images: Tensor, masks: Tensor, size: tuple[int, int], *, mirror: bool = True
) -> tuple[Tensor, Tensor]:
    """Cut a random window out of each image and its mask, and mirror each pair with probability 1/2.

    Args:
        images: [B, 3, H, W].
        masks: [B, H, W].
        size: height and width of the windows, at most H and W.
        mirror: whether pairs are mirrored at all.

    Returns:
        [B, 3, *size] and [B, *size].
    """
    batch, _, height, width = images.shape
    # Drawn on the CPU, so that they are the same on every device.
    tops = torch.randint(height - size[0] + 1, (batch,)).tolist()
    lefts = torch.randint(width - size[1] + 1, (batch,)).tolist()
    mirrored = (torch.rand(batch) < 0.5).tolist() if mirror else [False] * batch
    cropped, labels = images.new_empty(batch, images.shape[1], *size), masks.new_empty(batch, *size)
    # Copies of windows: on a CPU a gather over all pixels takes four times as long.
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        window = slice(top, top + size[0]), slice(left, left + size[1])
        image, mask = images[i][:, *window], masks[i][*window]
        cropped[i] = image.flip(-1) if mirrored[i] else image
        labels[i] = mask.flip(-1) if mirrored[i] else mask
    return cropped, labels


class Cityscapes(BenchDataModule):
    """Street scenes with fine annotations: train 2,975 and val 500 images of 2048 x 1024, the latter as the test set.

    Images and masks are decoded and resized once (masks with nearest neighbour), and kept as uint8. Training batches
    are cropped, flipped and colour-jittered on the device, with parameters of its own for each image. Test images are
    resized for the network; test masks keep their own resolution.

    ``class_names`` has the label table's names. Batches are float images [B, 3, h, w], normalised by
    ImageNet's channel means and deviations, with long masks [B, h, w] in training, and with a list of B uint8 masks
    [H_i, W_i] otherwise.

    Args:
        root: the folder that holds ``leftImg8bit`` and ``gtFine``; ``embedded`` for drawn scenes.
        labels: ``cityscapes20`` (19 classes and "other"), ``cityscapes19`` (the rest is ignored), or your own table:
            ``{classes: {NAME: ID or [IDS], ...}, ignore: [IDS]}``.
        size: height and width that images are resized to, for training and for the network at test.
        crop_size: height and width of the random crop that is trained on, out of ``size``; null trains on whole images.
        augmentation: of training images: ``jitter_flip`` (colour jitter and horizontal flip), ``flip`` or ``none``;
            crops are taken in any case.
        jitter: strengths of the colour jitter.
        train_split: folder of the training scenes.
        test_split: folder of the test scenes.
        cache: ``memory`` or ``disk`` keeps ``size`` x 4 bytes a training scene, and ``size`` x 3 bytes and its mask a
            test scene (Cityscapes at 512 x 1024: 6.2 GB and 1.8 GB); ``none`` decodes in every epoch.
        cache_dir: folder of a cache on disk; ``~/.cache/lpflu_bench`` if null.
        kwargs: see :class:`BenchDataModule`.

    Raises:
        UserError: the label table or a size is impossible.
    """

    layout: ClassVar[str] = (
        "Cityscapes has leftImg8bit/{train,val}/CITY/*_leftImg8bit.png, gtFine/{train,val}/CITY/*_gtFine_labelIds.png, "
        "from leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of cityscapes-dataset.com"
    )

    official_sizes: ClassVar[tuple[int, int] | None] = (2975, 500)

    def __init__(
        self,
        root: str | None = None,
        labels: str | dict[str, Any] = "cityscapes20",
        size: tuple[int, int] = (512, 1024),
        crop_size: tuple[int, int] | None = (256, 512),
        augmentation: Literal["jitter_flip", "flip", "none"] = "jitter_flip",
        jitter: JitterStrength = JitterStrength(),  # noqa: B008
        train_split: str = "train",
        test_split: str = "val",
        cache: CacheMode = "none",
        cache_dir: str | None = None,
        batch_size: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, **kwargs)
        for name, value in (("size", size), ("crop_size", crop_size)):
            if value is not None and min(value) < 1:
                raise UserError(f"data.{name} is {list(value)}: height and width must be at least 1")
        if crop_size is not None and (crop_size[0] > size[0] or crop_size[1] > size[1]):
            raise UserError(f"data.crop_size {list(crop_size)} does not fit into data.size {list(size)}")
        self.labels = label_table(labels)
        self.class_names = self.labels.class_names
        self.size = (size[0], size[1])
        self.crop_size = (crop_size[0], crop_size[1]) if crop_size else self.size
        self.augmentation = augmentation
        self.jitter = jitter
        self.splits = (train_split, test_split)
        self.cache: CacheMode = cache
        self.cache_dir = cache_dir

    def load(self) -> None:
        """List the scenes and check the files' headers.

        Raises:
            UserError: something is missing or does not fit together; the message names the file.
        """
        if self.root == EMBEDDED:
            root = embedded_root(SCENES_NAME, draw_scenes)
            self.cache_dir = self.cache_dir or str(root)  # of the temporary files, not of the user's
        else:
            root = self.root_folder()
        train, test = (find_scenes(root, split) for split in self.splits)
        settings: dict[str, Any] = {
            "table": self.labels,
            "size": self.size,
            "cache": self.cache,
            "cache_dir": self.cache_dir,
        }
        self.train_set = TrainingScenes(train, **settings)
        self.val_set = self.test_set = TestScenes(test, **settings)

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return what the data set has read: it already is a batch."""
        return samples

    def setup(self, stage: str) -> None:
        """Load the data once; for ``check``, read every label too, so that ids the table doesn't know are found."""
        super().setup(stage)
        if stage == "check":
            for part in (self.train_set, self.test_set):
                assert isinstance(part, TrainingScenes | TestScenes)
                for scene in part.scenes:
                    read_label(scene.label, self.labels)

    def augment_batch(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Crop, mirror and jitter a training batch."""
        images, masks = crop_and_flip(*batch, self.crop_size, mirror=self.augmentation != "none")
        if self.augmentation == "jitter_flip":
            images = jitter_colors(to_float(images), self.jitter)
        return images, masks

    def prepare_batch(self, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        """Normalise images; training masks become long."""
        images, masks = batch
        mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (_MEAN, _STD))
        return to_float(images).sub(mean).div_(std), masks.long() if isinstance(masks, Tensor) else masks

    def original_image(self, index: int) -> Tensor:
        """Return test image ``index`` as it is on disk, uint8 [3, H, W]; predictions are in its pixels."""
        return read_image(self.image_path(index))

    def image_path(self, index: int) -> Path:
        """Return the file of test image ``index``."""
        assert isinstance(self.test_set, TestScenes)
        return self.test_set.scenes[index].image
