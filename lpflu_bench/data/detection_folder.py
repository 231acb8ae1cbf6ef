"""Images with boxes in any of the layouts that people have them in."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor
from torchvision.ops import box_convert

from lpflu_bench.data.annotations import Annotation, RawAnnotation, class_names, resolve, summarize
from lpflu_bench.data.augment import JitterStrength, flip_horizontally, jitter_colors, to_float
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.boxes import PackedTargets, Target, flip_boxes
from lpflu_bench.data.detection_layouts import LAYOUTS
from lpflu_bench.data.detection_layouts.base import DetectionLayout
from lpflu_bench.data.detection_set import DetectionSet
from lpflu_bench.data.embedded import EMBEDDED, embedded_root
from lpflu_bench.data.image_cache import CacheMode
from lpflu_bench.data.image_files import in_threads, read_header, read_image
from lpflu_bench.data.layouts import find_layout
from lpflu_bench.data.splits import choose_splits, hold_out
from lpflu_bench.data.synthetic_voc import draw_voc
from lpflu_bench.errors import UserError, check_range

Parts = dict[str, list[RawAnnotation]]


class DetectionFolder(BenchDataModule):
    """Your own images with boxes: VOC's devkit or XML files, COCO's JSON or YOLO's text files, found by looking.

    Images are decoded and resized once in the loader's processes, kept as uint8 where ``cache`` says so, and augmented
    in batches on the device, each image by its own random amounts. A batch is (float images [B, 3, S, S] in 0..1, B
    dicts of ``boxes`` float [N, 4] (x1, y1, x2, y2) in pixels of the S x S image, ``labels`` long [N] from 1,
    ``iscrowd`` long [N], ``image_id``, and ``size``, height and width of the original image).

    Boxes without area or outside their image are left out, boxes that reach beyond it are clipped, images without
    objects are kept as background; one warning at the start counts them. Images are turned as their EXIF data says, and
    boxes are taken in the frame that their annotation's image size says.

    Args:
        root: the set's folder; ``embedded`` for drawn shapes, which take the names of ``classes``.
        layout: ``voc_devkit``, ``coco``, ``voc_flat`` or ``yolo``; null finds it by looking.
        classes: class names, in the order of their labels; null takes the names that occur, sorted.
        train: split that is trained on, by its name in the layout (a folder, a list, a JSON file); several are joined by
            "+"; null chooses by convention.
        test: split that is tested on; null chooses ``test``, or else ``val``; with neither, a share is held out.
        val: split that validation runs on; null: ``val`` where the layout's own convention has one beside ``train`` and
            ``test``, else the test set.
        test_fraction: share of the images that is held out for the test where there is no split for it: the same ones
            for every seed.
        val_fraction: share of the training images, in (0, 1), that is held out for validation: the same ones for every
            seed; null: as ``val`` says.
        image_size: S; both sides are resized to it.
        augmentation: of training images: ``jitter_flip`` (the paper's: colour jitter and horizontal flip), ``flip`` or
            ``none``.
        jitter: strengths of the colour jitter.
        train_on_difficult: whether objects marked as difficult are trained on.
        difficult_is_crowd: whether they are ignored in scoring (as COCO's crowd always is) instead of objects to be
            found.
        cache: ``memory`` or ``disk`` keeps 3 x S x S bytes an image (at 320: VOC2012 all 5.26 GB, trainval 3.55 GB,
            VOC2007 test 1.52 GB), in the memory of each device's process, or in one file that all processes and later
            runs share; ``none`` decodes in every epoch.
        cache_dir: folder of a cache on disk; ``~/.cache/lpflu_bench`` if null.
        batch_size: training images in a batch on each device.
        kwargs: see :class:`BenchDataModule`.

    Raises:
        UserError: a class is named twice, or none is.
    """

    layout: ClassVar[str] = "; ".join(f"{each.title}: {each.expected}" for each in LAYOUTS)
    embedded_classes: ClassVar[Sequence[str]] = ("circle", "square", "triangle")
    train_set: DetectionSet
    val_set: DetectionSet
    test_set: DetectionSet

    def __init__(
        self,
        root: str | None = None,
        layout: str | None = None,
        classes: Sequence[str] | None = None,
        train: str | None = None,
        test: str | None = None,
        val: str | None = None,
        test_fraction: float = 0.2,
        val_fraction: float | None = None,
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
        if classes is not None and (not classes or len(set(classes)) != len(classes)):
            raise UserError(f"data.classes must name at least one class, each once; it is {list(classes)}")
        if image_size < 32:
            raise UserError(f"data.image_size is {image_size}: the network needs at least 32 pixels")
        if not 0 < test_fraction < 1:
            raise UserError(f"data.test_fraction is {test_fraction}: it must be a share between 0 and 1")
        self.layout_name = layout
        self.classes = None if classes is None else list(classes)
        if classes is not None or root == EMBEDDED:  # else derived when the data are read
            self.class_names = list(classes or self.embedded_classes)
        self.split_names = (train, test, val)
        if val_fraction is not None:
            check_range("data.val_fraction", val_fraction, above=0, below=1)
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction
        self.image_size = image_size
        self.augmentation = augmentation
        self.jitter = jitter
        self.train_on_difficult = train_on_difficult
        self.difficult_is_crowd = difficult_is_crowd
        self.cache, self.cache_dir = cache, cache_dir

    def load(self) -> None:
        """Read all annotations and the headers of all images.

        Raises:
            UserError: one line that names the file, and the object where it is one.
        """
        parts = {name: self._resolve(name, part) for name, part in self._read().items()}
        notes = [f"{name} set: {note}" for name, part in parts.items() if (note := summarize(part))]
        train_images = {annotation.image for annotation in parts["training"]}
        if shared := sum(annotation.image in train_images for annotation in parts["test"]):
            notes.append(f"{shared} of the {len(parts['test'])} test images are in the training set too")
        if notes:
            rank_zero_warn(f"{self.root}: {'; '.join(notes)}")
        for name, part in parts.items():
            if not any(len(annotation.labels) for annotation in part):
                raise UserError(f"{self.root}: none of the {len(part)} images of the {name} set has an object")
        self.train_set = self._make_set(parts["training"], training=True)
        self.test_set = self._make_set(parts["test"], training=False)
        self.val_set = self._make_set(parts["validation"], training=False) if "validation" in parts else self.test_set

    def _read(self) -> Parts:
        """Return the annotations of each set by its name, and set ``class_names``."""
        train, test, val = self.split_names
        if self.root == EMBEDDED:
            digest = hashlib.blake2b("\n".join(self.class_names).encode(), digest_size=4).hexdigest()
            root = embedded_root(f"voc-3-{digest}", partial(draw_voc, classes=self.class_names))
            train, test, val = "2012/trainval", "2007/test", None
        else:
            root = self.root_folder()
        layout, hint = find_layout(LAYOUTS, root, self.layout_name)
        names = layout.split_names()
        splits = choose_splits(names, train, test, val)
        training = _read_splits(layout, splits.train)
        if splits.test is None:
            training, testing = hold_out(training, self.test_fraction)
            test_name = f"{self.test_fraction:.0%} of it"
        else:
            testing, test_name = _read_splits(layout, splits.test), splits.test
        if self.val_fraction:
            training, validation = hold_out(training, self.val_fraction, "val_fraction")
        elif splits.val is not None:
            validation = _read_splits(layout, splits.val)
        else:
            validation = []
        self._category_ids = layout.category_ids()
        parts: Parts = {"training": training, "test": testing}
        if validation:
            parts["validation"] = validation
        if self.root != EMBEDDED:
            derived = class_names(annotation for part in parts.values() for annotation in part)
            self.class_names = self.classes or derived
            if self.rank == 0:
                shown = ", ".join(self.class_names[:8]) + (", ..." if len(self.class_names) > 8 else "")
                print(
                    f"{root}: {layout.title}{hint}; training on {splits.train} ({len(training)} images), testing on "
                    f"{test_name} ({len(testing)}), {self.num_classes} classes: {shown}",
                    file=sys.stderr,
                )
        return parts

    def _resolve(self, name: str, part: list[RawAnnotation]) -> list[Annotation]:
        labels = {name: label for label, name in enumerate(self.class_names, start=1)}

        def one(raw: RawAnnotation) -> Annotation:
            return resolve(raw, read_header(raw.image), labels)

        return in_threads(one, part, f"looking at {len(part)} {name} images", silent=self.rank > 0)

    def _make_set(self, annotations: Sequence[Annotation], *, training: bool) -> DetectionSet:
        return DetectionSet(
            annotations,
            self.image_size,
            training=training,
            train_on_difficult=self.train_on_difficult,
            difficult_is_crowd=self.difficult_is_crowd,
            cache=self.cache,
            cache_dir=self.cache_dir,
        )

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return the samples as they are: the data set reads whole batches."""
        return samples

    def original_image(self, image_id: int) -> Tensor:
        """Return test image ``image_id`` as it is on disk, uint8 [3, H, W]; predictions are in its pixels."""
        return read_image(self.image_path(image_id))

    def coco_results(self, index: int, prediction: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """Return the boxes of test image ``index`` as entries of COCO's results file.

        Images and classes have the numbers of the set's own COCO file; of another layout, the image's index and the
        class's label (1 for the first).

        Args:
            index: of the image.
            prediction: ``boxes`` [N, 4] (x1, y1, x2, y2) in pixels of the image, ``labels`` [N] and ``scores`` [N].
        """
        number = self.test_set.annotations[index].image_id
        sides = box_convert(prediction["boxes"].cpu().double(), "xyxy", "xywh")
        columns = zip(prediction["labels"].tolist(), sides.tolist(), prediction["scores"].tolist(), strict=True)
        return [
            {
                "image_id": index if number is None else number,
                "category_id": self._category_ids.get(self.class_names[label - 1], label),
                "bbox": box,
                "score": score,  # rounded, boxes of nearly equal scores would change places
            }
            for label, box, score in columns
        ]

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


def _read_splits(layout: DetectionLayout, names: str) -> list[RawAnnotation]:
    """Return the images of splits joined by "+", each image once."""
    found = {raw.image: raw for name in names.split("+") for raw in layout.read(name.strip())}
    return list(found.values())
