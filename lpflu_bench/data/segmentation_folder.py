"""Images with masks in any of the layouts that people have them in."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import Cityscapes as TorchvisionCityscapes

from lpflu_bench.data.augment import JitterStrength, crop_and_flip, jitter_colors, to_float
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.embedded import EMBEDDED, embedded_root
from lpflu_bench.data.image_cache import CacheMode
from lpflu_bench.data.image_files import in_threads, read_image
from lpflu_bench.data.layouts import find_layout
from lpflu_bench.data.segmentation_labels import derived_labels, label_table, pack_colors
from lpflu_bench.data.segmentation_layouts import LAYOUTS
from lpflu_bench.data.segmentation_layouts.base import SegmentationLayout
from lpflu_bench.data.segmentation_layouts.cityscapes import CityscapesLayout
from lpflu_bench.data.segmentation_set import Scene, TestScenes, TrainingScenes, is_color_mask, read_pixels
from lpflu_bench.data.splits import choose_splits, hold_out
from lpflu_bench.data.synthetic_cityscapes import SCENES_NAME, draw_scenes
from lpflu_bench.errors import UserError, check_range

# ImageNet's channel statistics: near enough to any photographs', and the same for every data set.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LOOKED_AT = 8  # masks of a split whose ids are looked at before training


class SegmentationFolder(BenchDataModule):
    """Your own images with masks: two folders, VOC's SegmentationClass, Cityscapes or ADE20K, found by looking.

    Images and masks are decoded and resized once (masks with nearest neighbour), and kept as uint8. Training batches
    are cropped, flipped and colour-jittered on the device, with parameters of its own for each image. Test images are
    resized for the network; test masks keep their own resolution.

    After ``setup``, ``class_names`` has the label table's names. Batches are float images [B, 3, h, w], normalised by
    ImageNet's channel means and deviations, with long masks [B, h, w] in training, and with a list of B uint8 masks
    [H_i, W_i] otherwise.

    Args:
        root: the set's folder; ``embedded`` for drawn street scenes.
        layout: ``cityscapes``, ``voc_segmentation`` or ``image_masks``; null finds it by looking.
        labels: ``cityscapes20`` (19 classes and "other"), ``cityscapes19`` (the rest is ignored), ``voc21``, or your own
            table: ``{classes: {NAME: ID or [IDS], ...}, ignore: [IDS]}``, with a colour ``"#rrggbb"`` in place of each id
            where masks are RGB. Null takes the layout's own table, or else every value that occurs as a class (255 is
            ignored), for which all masks are read at the start.
        train: split that is trained on; several are joined by "+"; null chooses by convention.
        test: split that is tested on; null chooses ``test``, or else ``val``; with neither, a share is held out.
        val: split that validation runs on; null: ``val`` where the layout's own convention has one beside ``train`` and
            ``test``, else the test set.
        test_fraction: share of the images that is held out for the test where there is no split for it: the same ones
            for every seed.
        val_fraction: share of the training images, in (0, 1), that is held out for validation: the same ones for every
            seed; null: as ``val`` says.
        size: height and width that images are resized to, for training and for the network at test.
        crop_size: height and width of the random crop that is trained on, out of ``size``; null trains on whole images.
        augmentation: of training images: ``jitter_flip`` (colour jitter and horizontal flip), ``flip`` or ``none``;
            crops are taken in any case.
        jitter: strengths of the colour jitter.
        cache: ``memory`` or ``disk`` keeps ``size`` x 4 bytes a training scene, and ``size`` x 3 bytes and its mask a
            test scene (Cityscapes at 512 x 1024: 6.2 GB and 1.8 GB); ``none`` decodes in every epoch.
        cache_dir: folder of a cache on disk; ``~/.cache/lpflu_bench`` if null.
        kwargs: see :class:`BenchDataModule`.

    Raises:
        UserError: the label table or a size is impossible.
    """

    layout: ClassVar[str] = "; ".join(f"{each.title}: {each.expected}" for each in LAYOUTS)
    train_set: TrainingScenes
    val_set: TestScenes
    test_set: TestScenes

    def __init__(
        self,
        root: str | None = None,
        layout: str | None = None,
        labels: str | dict[str, Any] | None = None,
        train: str | None = None,
        test: str | None = None,
        val: str | None = None,
        test_fraction: float = 0.2,
        val_fraction: float | None = None,
        size: tuple[int, int] = (512, 1024),
        crop_size: tuple[int, int] | None = (256, 512),
        augmentation: Literal["jitter_flip", "flip", "none"] = "jitter_flip",
        jitter: JitterStrength = JitterStrength(),  # noqa: B008
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
        if labels is not None:
            label_table(labels)  # so that an impossible one is refused before anything is read
        self.layout_name = layout
        self._label_setting = labels
        self.split_names = (train, test, val)
        if val_fraction is not None:
            check_range("data.val_fraction", val_fraction, above=0, below=1)
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction
        self.size = (size[0], size[1])
        self.crop_size = (crop_size[0], crop_size[1]) if crop_size else self.size
        self.augmentation = augmentation
        self.jitter = jitter
        self.cache: CacheMode = cache
        self.cache_dir = cache_dir

    def load(self) -> None:
        """List the scenes, find the label table and check the files' headers.

        Raises:
            UserError: something is missing or does not fit together; the message names the file.
        """
        if self.root == EMBEDDED:
            root = embedded_root(SCENES_NAME, draw_scenes)
            self.cache_dir = self.cache_dir or str(root)  # of the temporary files, not of the user's
        else:
            root = self.root_folder()
        layout, hint = find_layout(LAYOUTS, root, self.layout_name)
        splits = choose_splits(layout.split_names(), *self.split_names)
        train = _read_splits(layout, splits.train)
        if splits.test is None:
            train, test = hold_out(train, self.test_fraction)
            test_name = f"{self.test_fraction:.0%} of it"
        else:
            test, test_name = _read_splits(layout, splits.test), splits.test
        val = None if splits.val is None else _read_splits(layout, splits.val)
        if self.val_fraction:
            train, val = hold_out(train, self.val_fraction, "val_fraction")
        labels = self._label_setting or layout.labels() or self._derive([*train, *test, *(val or [])])
        self.labels = label_table(labels, train_ids=layout.train_ids)
        if isinstance(layout, CityscapesLayout) and isinstance(labels, str) and not layout.train_ids:
            for part in (train, test):
                _refuse_other_ids(part)
        settings: dict[str, Any] = {
            "table": self.labels,
            "size": self.size,
            "cache": self.cache,
            "cache_dir": self.cache_dir,
        }
        self.class_names = self.labels.class_names
        self.train_set = TrainingScenes(train, **settings)
        self.test_set = TestScenes(test, **settings)
        self.val_set = self.test_set if val is None else TestScenes(val, **settings)
        if self.root != EMBEDDED and self.rank == 0:
            shown = ", ".join(self.class_names[:8]) + (", ..." if len(self.class_names) > 8 else "")
            print(
                f"{root}: {layout.title}{' (train ids)' if layout.train_ids else ''}{hint}; training on {splits.train} "
                f"({len(train)} images), testing on {test_name} ({len(test)}), {self.num_classes} classes: {shown}",
                file=sys.stderr,
            )

    def _derive(self, scenes: Sequence[Scene]) -> Mapping[str, Any]:
        """Return the table of all values in the masks."""
        colors = is_color_mask(scenes[0].label)

        def values(scene: Scene) -> list[int]:
            pixels = read_pixels(scene.label, colors=colors)
            found: list[int] = np.unique(pack_colors(pixels) if colors else pixels).tolist()
            return found

        read = in_threads(values, scenes, f"reading the values of {len(scenes)} masks", silent=self.rank > 0)
        return derived_labels({value for each in read for value in each}, colors=colors)

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return what the data set has read: it already is a batch."""
        return samples

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

    @property
    def image_sizes(self) -> set[tuple[int, int]]:
        """Height and width of training's crops and of whole images."""
        return {self.crop_size, self.size}

    def original_image(self, index: int) -> Tensor:
        """Return test image ``index`` as it is on disk, uint8 [3, H, W]; predictions are in its pixels."""
        return read_image(self.image_path(index))

    def export_prediction(self, folder: Path, index: int, classes: Tensor) -> None:
        """Write predicted classes [H, W] of test image ``index`` as a mask like the set's own: its ids or colours.

        The file is called like the image, which is the name that Cityscapes' own script looks for.
        """
        pixels = self.labels.unmap(classes.cpu().numpy().astype(np.uint8))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{self.image_path(index).stem}.png")

    def image_path(self, index: int) -> Path:
        """Return the file of test image ``index``."""
        return self.test_set.scenes[index].image


def _read_splits(layout: SegmentationLayout, names: str) -> list[Scene]:
    """Return the scenes of splits joined by "+", each once."""
    return list({scene.image: scene for name in names.split("+") for scene in layout.scenes(name.strip())}.values())


def _refuse_other_ids(scenes: Sequence[Scene]) -> None:
    """Refuse masks that are called label ids and are not: Cityscapes' dummy masks of the test set, and train ids.

    Raises:
        UserError: names the first mask and the reason.
    """
    some = scenes[:: max(1, len(scenes) // _LOOKED_AT)][:_LOOKED_AT]
    pixels = np.concatenate([read_pixels(scene.label, colors=False).ravel() for scene in some])
    counts = np.bincount(pixels, minlength=256)
    if not counts[4:].any():
        raise UserError(
            f"{some[0].label}: the masks hold the ids 0 to 3 alone, nothing that is trained on or scored: they are the "
            "dummy masks of Cityscapes' test set, whose labels are not public; test on val"
        )
    scored = np.array([c.id for c in TorchvisionCityscapes.classes if not c.ignore_in_eval])
    if not counts[19:255].any() and counts[scored].sum() < counts.sum() / 2:
        raise UserError(
            f"{some[0].label}: the masks hold ids up to 18 alone, most of them not label ids of a class: they look like "
            "train ids, whose files are called *_gtFine_labelTrainIds.png; rename them, or name their classes in data.labels"
        )
