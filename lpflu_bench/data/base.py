"""What every data module shares: seeded order, loaders, and augmentation in batches on the device."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, default_collate

from lpflu_bench.data.corruptions import KINDS, CorruptedSet, Corruption
from lpflu_bench.data.samplers import DatasetOrder, TrainingOrder
from lpflu_bench.errors import UserError, check_range
from lpflu_bench.seeding import derive_seed, run_seed


class BenchDataModule(LightningDataModule, ABC):
    """Base of the data modules. A subclass implements ``load`` and, where it needs them, the two batch hooks.

    After ``setup()`` it has ``class_names``, ``num_classes``, ``train_size`` and ``test_size``. Validation runs on
    ``val_set``; the default of the project is the test set itself (the paper's Fig. 9 draws the test error against
    the epoch), and nothing is selected by it.

    Samples are drawn in an order that depends on seed and epoch alone (`samplers.py`). Random augmentation depends on
    seed, number of the training batch and rank alone. So neither has a state to restore when a run is resumed at an
    epoch's boundary, and neither sees which activation function is trained.

    Args:
        root: Folder that holds the data; ``layout`` says what is expected in it.
        batch_size: Training images in a batch on each device; the last partial batch of an epoch is dropped.
        test_batch_size: Images in a batch of validation, test and prediction on each device; as ``batch_size`` if null.
        num_workers: Processes that load batches on each device; 0 loads in the training process.
        seed: Seed of order and augmentation; the run's (``--seed_everything``) if null.
        test_corruption: What corrupts the images of test and prediction (see :class:`Corruption`), the same for every
            run; validation stays on clean ones.
    """

    layout: ClassVar[str] = ""
    """What is expected where under ``root``, and how to get it (shown to the user when something is missing)."""

    official_sizes: ClassVar[tuple[int, int] | None] = None
    """Numbers of training and test samples of the whole set, if it has official ones (for `lpflu-bench data check`)."""

    located_targets: ClassVar[bool] = True
    """Whether targets are boxes or masks, which no longer fit if a corruption moves what is in the image."""

    class_names: list[str]
    train_set: Dataset[Any]
    val_set: Dataset[Any]
    test_set: Dataset[Any]

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 128,
        test_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        test_corruption: Corruption | None = None,
    ) -> None:
        super().__init__()
        check_range("data.batch_size", batch_size, at_least=1)
        if test_batch_size is not None:
            check_range("data.test_batch_size", test_batch_size, at_least=1)
        check_range("data.num_workers", num_workers, at_least=0)
        if seed is not None:
            check_range("data.seed", seed, at_least=0)
        self.root = root
        self.batch_size = batch_size
        self.test_batch_size = test_batch_size or batch_size
        self.num_workers = num_workers
        if test_corruption is not None and self.located_targets and not test_corruption.keeps_geometry:
            kept = ", ".join(kind.name for kind in KINDS.values() if kind.keeps_geometry)
            raise UserError(
                f"data.test_corruption: {test_corruption.name} moves objects, so that boxes and masks no longer fit; "
                f"choose one of {kept}"
            )
        self.test_corruption = test_corruption
        self._seed = seed
        self._loaded = False

    @abstractmethod
    def load(self) -> None:
        """Read the data: set ``class_names``, ``train_set``, ``val_set`` and ``test_set``. Called once a process.

        Raises:
            UserError: Something under ``root`` is missing or can't be read.
        """

    @staticmethod
    def collate(samples: Any) -> Any:
        """Make a batch of what the data set returned for its indices."""
        return default_collate(samples)

    def augment_batch(self, batch: Any) -> Any:
        """Change a training batch at random, on the device. The global generators are seeded for this batch here."""
        return batch

    def prepare_batch(self, batch: Any) -> Any:
        """Bring any batch into the form that the module takes, on the device, after augmentation."""
        return batch

    @property
    def seed(self) -> int:
        """Seed of order and augmentation."""
        return run_seed() if self._seed is None else self._seed

    @property
    def num_classes(self) -> int:
        """Number of classes (without a background class)."""
        return len(self.class_names)

    @property
    def train_size(self) -> int:
        """Number of training samples."""
        return len(self.train_set)  # type: ignore[arg-type]

    @property
    def test_size(self) -> int:
        """Number of test samples."""
        return len(self.test_set)  # type: ignore[arg-type]

    @property
    def image_sizes(self) -> set[tuple[int, int]]:
        """Heights and widths of the images that the network is given; empty where it brings them to a size of its own."""
        return set()

    @property
    def rank(self) -> int:
        """Rank of this process; 0 outside a trainer."""
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def world_size(self) -> int:
        """Number of training processes; 1 outside a trainer."""
        return 1 if self.trainer is None else self.trainer.world_size

    @property
    def device(self) -> torch.device:
        """Device that batches are moved to; the CPU outside a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def root_folder(self) -> Path:
        """Return ``root`` as a path.

        Raises:
            UserError: It isn't given or isn't a folder.
        """
        if self.root is None:
            raise UserError(f"data.root isn't given: name the folder of the data with --data.root DIR. {self.layout}")
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise UserError(f"data.root: there is no folder {folder}. {self.layout}")
        return folder

    def setup(self, stage: str) -> None:
        """Load the data once, and check that the training set fills a batch on every device."""
        if not self._loaded:
            self.load()
            self._loaded = True
        if stage == "fit" and self.train_size < (total := self.batch_size * self.world_size):
            raise UserError(
                f"data.batch_size: one batch on {self.world_size} device(s) takes {total} images but the training set "
                f"has {self.train_size}; set data.batch_size to at most {self.train_size // self.world_size}"
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Training batches in this epoch's random order, the last partial batch dropped."""
        order = TrainingOrder(self.train_set, seed=self.seed, rank=self.rank, world_size=self.world_size)
        return self._loader(self.train_set, order, self.batch_size, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches in the data set's order, every sample once."""
        return self._evaluation_loader(self.val_set)

    def test_dataloader(self) -> DataLoader[Any]:
        """Test batches in the data set's order, every sample once."""
        return self._evaluation_loader(self.corrupted_test_set())

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test batches."""
        return self._evaluation_loader(self.corrupted_test_set())

    def corrupted_test_set(self) -> Dataset[Any]:
        """Return the test set under ``test_corruption``; as it is if that is null.

        Raises:
            UserError: The official arrays are asked for of a set that has none.
        """
        if self.test_corruption is None:
            return self.test_set
        if self.test_corruption.official:
            raise UserError("data.test_corruption.official: only CIFAR-10 and CIFAR-100 have official corrupted images")
        return CorruptedSet(self.test_set, self.test_corruption)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment (in training alone) and prepare a batch on the device."""
        if self.trainer is not None and self.trainer.training:
            # This hook runs before the loop counts the batch: `total_batch_idx` still is the previous one's.
            index = self.trainer.fit_loop.epoch_loop.total_batch_idx + 1
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                torch.manual_seed(derive_seed(self.seed, "augment", index, self.rank))
                batch = self.augment_batch(batch)
        return self.prepare_batch(batch)

    def _evaluation_loader(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        order = DatasetOrder(dataset, rank=self.rank, world_size=self.world_size)
        return self._loader(dataset, order, self.test_batch_size, drop_last=False)

    def _loader(
        self, dataset: Dataset[Any], sampler: TrainingOrder | DatasetOrder, batch_size: int, *, drop_last: bool
    ) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            collate_fn=self.collate,
            pin_memory=self._pin_memory(),
            persistent_workers=self.num_workers > 0,
            # Without its own generator a loader draws from the global one: validating would change the training.
            generator=torch.Generator().manual_seed(derive_seed(self.seed, "workers", self.rank)),
        )

    def _pin_memory(self) -> bool:
        return self.device.type == "cuda"
