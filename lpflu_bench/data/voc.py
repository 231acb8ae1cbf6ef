"""PASCAL VOC, and anybody's boxes in its layout."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from lpflu_bench.data.augment import JitterStrength, flip_horizontally, jitter_colors, to_float
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.boxes import PackedTargets, Target, flip_boxes
from lpflu_bench.data.detection_set import DetectionSet
from lpflu_bench.data.embedded import EMBEDDED, embedded_root
from lpflu_bench.data.image_cache import CacheMode
from lpflu_bench.data.image_files import read_image
from lpflu_bench.data.synthetic_voc import draw_voc
from lpflu_bench.data.voc_annotations import Annotation, read_annotation, read_list, summarize
from lpflu_bench.errors import UserError

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


class VOC(BenchDataModule):
    """Images with boxes in VOC's layout: trained on VOC2012, tested on VOC2007 test, 20 classes.

    Images are decoded and resized once in the loader's processes, kept as uint8 where ``cache`` says so, and augmented
    in batches on the device, each image by its own random amounts. A batch is (float images [B, 3, S, S] in 0..1, B
    dicts of ``boxes`` float [N, 4] (x1, y1, x2, y2) in pixels of the S x S image, ``labels`` long [N] from 1,
    ``iscrowd`` long [N], ``image_id``, and ``size``, height and width of the original image).

    Boxes without area or outside their image are left out, boxes that reach beyond it are clipped, images without
    objects are kept as background; one warning at the start counts them.

    Args:
        root: the folder that holds ``VOCdevkit``; ``embedded`` for drawn shapes, which take the names of ``classes``.
        classes: class names, in the order of their labels.
        train: image list ``YEAR/LIST``: ``2012/trainval`` is VOCdevkit/VOC2012/ImageSets/Main/trainval.txt (11,540
            images), ``2012/all`` every annotated image of VOC2012 (17,125); several are joined by "+".
        test: image list of validation and test.
        image_size: S; both sides are resized to it.
        augmentation: of training images: ``jitter_flip`` (the paper's: colour jitter and horizontal flip), ``flip`` or
            ``none``.
        jitter: strengths of the colour jitter.
        train_on_difficult: whether objects marked as difficult are trained on.
        difficult_is_crowd: whether they are ignored in scoring (COCO's crowd) instead of objects to be found.
        cache: ``memory`` or ``disk`` keeps 3 x S x S bytes an image (at 320: VOC2012 all 5.26 GB, trainval 3.55 GB,
            VOC2007 test 1.52 GB), in the memory of each device's process, or in one file that all processes and later
            runs share; ``none`` decodes in every epoch.
        cache_dir: folder of a cache on disk; ``~/.cache/lpflu_bench`` if null.
        batch_size: training images in a batch on each device.
        kwargs: see :class:`BenchDataModule`.

    Raises:
        UserError: a class is named twice, or none is.
    """

    official_sizes: ClassVar[tuple[int, int] | None] = (11_540, 4_952)
    layout: ClassVar[str] = (
        "VOC is VOCdevkit/VOC2012 and VOCdevkit/VOC2007, each with JPEGImages, Annotations and ImageSets/Main, from "
        "VOCtrainval_11-May-2012.tar and VOCtest_06-Nov-2007.tar of host.robots.ox.ac.uk/pascal/VOC"
    )
    train_set: DetectionSet
    val_set: DetectionSet
    test_set: DetectionSet

    def __init__(
        self,
        root: str | None = None,
        classes: Sequence[str] = VOC_CLASSES,
        train: str = "2012/trainval",
        test: str = "2007/test",
        image_size: int = 320,
        augmentation: Literal["jitter_flip", "flip", "none"] = "jitter_flip",
        jitter: JitterStrength = JitterStrength(),  # noqa: B008 (it is frozen)
        train_on_difficult: bool = False,
        difficult_is_crowd: bool = True,
        cache: CacheMode = "none",
        cache_dir: str | None = None,
        batch_size: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, **kwargs)
        if not classes or len(set(classes)) != len(classes):
            raise UserError(f"data.classes: expected class names, each once, got {list(classes)}")
        if image_size < 32:
            raise UserError(f"data.image_size is {image_size}: it must be at least 32, the network's coarsest stride")
        self.class_names = list(classes)
        self.train_list, self.test_list = train, test
        self.image_size = image_size
        self.augmentation = augmentation
        self.jitter = jitter
        self.train_on_difficult = train_on_difficult
        self.difficult_is_crowd = difficult_is_crowd
        self.cache, self.cache_dir = cache, cache_dir

    def load(self) -> None:
        """Read all annotations.

        Raises:
            UserError: one line that names the file, and the object where it is one.
        """
        train, test = self.read_annotations()
        sets = {"training set": train, "test set": test}
        notes = [f"{name}: {note}" for name, part in sets.items() if (note := summarize(part))]
        if notes:
            rank_zero_warn(f"{self.root}: {'; '.join(notes)}")
        for name, part in sets.items():
            if not any(len(annotation.labels) for annotation in part):
                raise UserError(f"{self.root}: none of the {len(part)} images of the {name} has an object")
        self.train_set = DetectionSet(
            train,
            self.image_size,
            with_difficult=self.train_on_difficult,
            cache=self.cache,
            cache_dir=self.cache_dir,
        )
        self.test_set = self.val_set = DetectionSet(
            test,
            self.image_size,
            with_difficult=True,
            difficult_is_crowd=self.difficult_is_crowd,
            cache=self.cache,
            cache_dir=self.cache_dir,
        )

    def read_annotations(self) -> tuple[list[Annotation], list[Annotation]]:
        """Return what the training and the test list name.

        Raises:
            UserError: one line that names the file, and the object where it is one.
        """
        lists = (self.train_list, self.test_list)
        if self.root == EMBEDDED:
            digest = hashlib.blake2b("\n".join(self.class_names).encode(), digest_size=4).hexdigest()
            root = embedded_root(f"voc-3-{digest}", partial(draw_voc, classes=self.class_names))
            lists = ("2012/trainval", "2007/test")
        else:
            root = self.root_folder()
        labels = {name: label for label, name in enumerate(self.class_names, start=1)}
        train, test = ([read_annotation(xml, image, labels) for image, xml in read_list(root, name)] for name in lists)
        return train, test

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return the samples as they are: the data set reads whole batches."""
        return samples

    def original_image(self, image_id: int) -> Tensor:
        """Return test image ``image_id`` as it is on disk, uint8 [3, H, W]; predictions are in its pixels."""
        return read_image(self.image_path(image_id))

    def image_path(self, image_id: int) -> Path:
        """Return the file of test image ``image_id``."""
        return self.test_set.annotations[image_id].image

    def augment_batch(self, batch: tuple[Tensor, PackedTargets]) -> tuple[Tensor, PackedTargets]:
        """Mirror images with their boxes and change their colours, as ``augmentation`` says."""
        images, targets = batch
        if self.augmentation != "none":
            images, flipped = flip_horizontally(images)
            targets = flip_boxes(targets, flipped, images.shape[-1])
        if self.augmentation == "jitter_flip":
            images = jitter_colors(to_float(images), self.jitter)
        return images, targets

    def prepare_batch(self, batch: tuple[Tensor, PackedTargets]) -> tuple[Tensor, list[Target]]:
        """Return images in 0..1 and a dict of targets for each."""
        images, targets = batch
        return to_float(images), targets.unpack()
