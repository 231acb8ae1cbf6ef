"""Images with boxes as a data set that is read in whole batches."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.annotations import Annotation
from lpflu_bench.data.boxes import PackedTargets
from lpflu_bench.data.image_cache import CacheMode, ImageCache, fingerprint
from lpflu_bench.data.image_files import read_image

Batch = tuple[Tensor, PackedTargets]


class _Decode:
    """Decoder of item ``i``: a class, because a cache hands it to worker processes."""

    def __init__(self, annotations: Sequence[Annotation], image_size: int) -> None:
        self.annotations, self.image_size = annotations, image_size

    def __call__(self, index: int) -> Tensor:
        image = read_image(self.annotations[index].image)
        resized: Tensor = TF.resize(image, [self.image_size, self.image_size], antialias=True)
        return resized


class DetectionSet(Dataset[Batch]):
    """Images uint8 [B, 3, S, S] and their objects, with the boxes in the resized image's pixels.

    Args:
        annotations: of the images.
        image_size: S; both sides are resized to it, whatever the image's aspect ratio (as SSD does).
        training: whether the set is trained on: groups of objects are left out then, and difficult objects by default.
        train_on_difficult: whether difficult objects are kept in training.
        difficult_is_crowd: whether they are marked as crowd otherwise, which is ignored in scoring as groups are.
        cache: where decoded images are kept (see :class:`ImageCache`): ``len(annotations) * 3 * S * S`` bytes.
        cache_dir: folder of a cache on disk.
    """

    def __init__(
        self,
        annotations: Sequence[Annotation],
        image_size: int,
        *,
        training: bool,
        train_on_difficult: bool = False,
        difficult_is_crowd: bool = True,
        cache: CacheMode = "none",
        cache_dir: str | Path | None = None,
    ) -> None:
        self.annotations = list(annotations)
        scales = [image_size / torch.tensor([a.width, a.height, a.width, a.height]) for a in annotations]
        kept = [~self._left_out(a, training=training, train_on_difficult=train_on_difficult) for a in annotations]
        self.boxes = [a.boxes[keep] * scale for a, keep, scale in zip(annotations, kept, scales, strict=True)]
        self.labels = [a.labels[keep] for a, keep in zip(annotations, kept, strict=True)]
        self.iscrowd = [
            (a.crowd | (a.difficult & difficult_is_crowd))[keep].long()
            for a, keep in zip(annotations, kept, strict=True)
        ]
        self.sizes = torch.tensor([[a.height, a.width] for a in annotations])
        self.images = ImageCache(
            _Decode(self.annotations, image_size),
            len(annotations),
            (3, image_size, image_size),
            mode=cache,
            folder=cache_dir,
            key=fingerprint((a.image for a in annotations), image_size) if cache == "disk" else "",
        )

    @staticmethod
    def _left_out(annotation: Annotation, *, training: bool, train_on_difficult: bool) -> Tensor:
        if not training:
            return torch.zeros_like(annotation.difficult)
        return annotation.crowd if train_on_difficult else annotation.crowd | annotation.difficult

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a whole batch: one copy out of the cache, and its objects in one tensor."""
        labels = [self.labels[i] for i in indices]
        counts = tuple(len(each) for each in labels)
        targets = PackedTargets(
            boxes=torch.cat([self.boxes[i] for i in indices]),
            labels=torch.cat(labels),
            iscrowd=torch.cat([self.iscrowd[i] for i in indices]),
            image_index=torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)),
            counts=counts,
            image_id=torch.tensor(indices),
            size=self.sizes[list(indices)],
        )
        return self.images[indices], targets
