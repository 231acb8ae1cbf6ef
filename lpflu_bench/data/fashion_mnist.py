"""Fashion-MNIST through torchvision's reader."""

from pathlib import Path
from typing import Any

from lpflu_bench.data.small_images import ImageSplits, LabelledImages, SmallImages, check_labels
from lpflu_bench.errors import UserError

_FILES = tuple(f"{split}-{what}-ubyte" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


class FashionMNIST(SmallImages):
    """Fashion-MNIST: 60,000 training and 10,000 test images, grey, 28 x 28, 10 classes (Xiao et al., 2017).

    The grey channel is repeated to three, on the device.

    Args:
        root: Folder that holds ``FashionMNIST/raw``; ``embedded`` for drawn shapes in its place.
        download: Fetch what is missing into ``root``.
        kwargs: see ``SmallImages``.
    """

    layout = (
        f"Expected: DIR/FashionMNIST/raw/{{{','.join(_FILES)}}} (unpacked from "
        "https://github.com/zalandoresearch/fashion-mnist) with --data.root DIR; --data.download true fetches it"
    )
    official_sizes = (60_000, 10_000)

    def __init__(self, root: str | None = None, download: bool = False, **kwargs: Any) -> None:
        super().__init__(root=root, **kwargs)
        self.download = download

    def _missing(self, root: Path) -> list[str]:
        return [name for name in _FILES if not (root / "FashionMNIST" / "raw" / name).is_file()]

    def prepare_data(self) -> None:
        """Fetch what is missing, if asked to. Runs once a node."""
        if self.download and self.root is not None and self._missing(root := Path(self.root).expanduser()):
            from torchvision import datasets

            try:
                datasets.FashionMNIST(str(root), download=True)
            except (OSError, RuntimeError) as error:
                raise UserError(f"FashionMNIST can't be fetched: {error}. {self.layout}") from error

    def read(self) -> ImageSplits:
        """Read both splits.

        Raises:
            UserError: A file is missing or isn't what it should be.
        """
        from torchvision import datasets

        root = self.root_folder()
        if missing := self._missing(root):
            raise UserError(f"{root / 'FashionMNIST' / 'raw'}: {', '.join(missing)} not found. {self.layout}")
        splits = []
        names = list(datasets.FashionMNIST.classes)
        for train in (True, False):
            try:
                data = datasets.FashionMNIST(str(root), train=train)
            except (ValueError, RuntimeError, AssertionError, KeyError, TypeError, IndexError) as error:
                raise UserError(
                    f"{root / 'FashionMNIST' / 'raw'}: can't be read ({error}); download it again"
                ) from error
            split = LabelledImages(data.data.unsqueeze(1), data.targets.long())
            check_labels(split.targets, names, f"{root / 'FashionMNIST' / 'raw'} ({'train' if train else 't10k'})")
            splits.append(split)
        return ImageSplits(splits[0], splits[1], names)
