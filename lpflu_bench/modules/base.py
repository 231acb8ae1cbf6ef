"""What the three kinds of task share: build, initialise, swap the activation, optimise."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from torch import Tensor, nn

from lpflu_bench.activations.registry import create_activation
from lpflu_bench.activations.replace import replace_activations
from lpflu_bench.errors import UserError, blamed_on
from lpflu_bench.modules.attacks import Attack
from lpflu_bench.modules.cuda_graph import capture_training, check_capturable
from lpflu_bench.modules.optimization import by_epoch, parameter_groups
from lpflu_bench.modules.schedule import EpochSchedule
from lpflu_bench.modules.scoring import ScoringModule
from lpflu_bench.modules.spec import Plain, Spec, plain
from lpflu_bench.networks.image_sizes import check_image_size
from lpflu_bench.networks.initializers import Initializer, initialize
from lpflu_bench.networks.starting_weights import load_starting_weights
from lpflu_bench.seeding import derive_seed, run_seed

EmaScope = Literal["residual", "all", "none"]


class BenchModule(ScoringModule):
    """Base of the task kinds; fixes the order in which a network comes to be.

    Seed -> :meth:`build_network` with the network's own activations as placeholders -> initialise -> swap in
    ``activation``. An activation that draws when it is built can therefore not move a later weight, and the same seed
    gives the same initial weights for every function.

    A subclass gives ``kind``, :meth:`build_network`, :meth:`name_network`, the steps, and what
    :class:`~lpflu_bench.modules.scoring.ScoringModule` asks for.

    Args:
        activation: a registry name (``lpflu``), or ``{class_path: ..., init_args: {...}}`` where ``class_path`` is a
            registry name or the dotted path of your own ``nn.Module``. It always means the hidden activations.
        ema_scope: where a slope of the form "ema" stays one: in ``residual`` (dense, shuffle) blocks as in the paper,
            with a fixed slope elsewhere; in ``all`` places; in ``none``.
        squeeze_excitation: whether the ReLU or SiLU inside squeeze-and-excitation is replaced too.
        initializer: applied to every convolution and linear layer; biases 0, norm scales 1 and shifts 0. ``keep`` leaves
            the weights as the network's library draws them.
        init_from: weights that ``fit`` starts from instead (fine-tuning): a checkpoint of this suite, with any function; a
            ``.safetensors``, ``.pt`` or ``.pth`` file; ``timm/NAME`` or ``torchvision/NAME`` for what they offer to
            download (:func:`~lpflu_bench.networks.starting_weights.load_starting_weights`). The optimizer is fresh.
        optimizer: a callable from parameters to a torch optimizer. Activations' and norms' parameters get no weight decay.
        schedule: a factor over epochs (:class:`EpochSchedule`), or one of torch's schedulers; stepped with the optimizer.
            Lightning's ``pytorch_lightning.cli.ReduceLROnPlateau`` is stepped after each epoch.
        channels_last: memory format of network and images.
        compile: run the network through ``torch.compile``.
        cuda_graph: replay training's forward and backward as CUDA graphs
            (:func:`~lpflu_bench.modules.cuda_graph.capture_training`), for a small network on one GPU.
        test_attack: what attacks the test images (see :class:`Attack`); classification alone has it.
    """

    kind: ClassVar[str]
    attackable: ClassVar[bool] = False
    """Whether its test step attacks the images (:meth:`attack`)."""
    capturable: ClassVar[bool] = True
    """Whether its network takes a tensor of one shape and returns tensors, as a CUDA graph does."""

    def __init__(
        self,
        activation: Spec | Plain = "relu",
        ema_scope: EmaScope = "residual",
        squeeze_excitation: bool = True,
        initializer: Initializer = "xavier_uniform",
        init_from: str | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        schedule: EpochSchedule | LRSchedulerCallable | None = None,
        channels_last: bool = False,
        compile: bool = False,
        cuda_graph: bool = False,
        test_attack: Attack | None = None,
    ) -> None:
        super().__init__()
        if test_attack is not None and not self.attackable:
            raise UserError(f"model.test_attack: {test_attack.kind} is defined for classification, not for {self.kind}")
        if cuda_graph and not self.capturable:
            raise UserError(f"model.cuda_graph: {self.kind} can't be captured: its tensors change their shapes")
        activation = plain(activation)
        with torch.random.fork_rng(devices=[]), blamed_on("model.activation"):
            create_activation(activation)  # a wrong setting shows before the network is built
        # The optimizer and the schedule are callables, which weights_only loading rightly refuses; the whole resolved
        # configuration is in the checkpoint by way of the run's record.
        self.save_hyperparameters(ignore=["optimizer", "schedule", "test_attack"])
        self.test_attack = test_attack
        self.activation = activation
        self.optimizer = optimizer
        self.schedule = schedule
        self.channels_last = channels_last
        self.compile_network = compile
        self.cuda_graph = cuda_graph
        self._captured = False
        self.init_from = init_from
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(run_seed(), "network"))
            self.network = self.build_network()
            initialize(self.network, initializer)
        self.placement = replace_activations(
            self.network, activation, ema_scope=ema_scope, squeeze_excitation=squeeze_excitation
        )
        self._taken_sizes: set[tuple[int, int]] = set()
        self.build_scoring()

    # --- what a kind provides -----------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def name_network(cls, init_args: Mapping[str, Any]) -> str:
        """Return the name, in records and tables, of the network that a module with these arguments builds.

        Args:
            init_args: of the constructor, with its defaults.
        """

    @property
    def network_name(self) -> str:
        """The network's name in records and tables."""
        return self.name_network(self.hparams)

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return the untrained network with its own activations; called once, under the run's seed."""

    def write_prediction(
        self, folder: Path, name: str, image: Tensor | None, prediction: Any, class_names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Write what was predicted for one image (`predict`), and return its rows of the table of predictions.

        Args:
            folder: where files go.
            name: of the image; a file's name starts with it.
            image: as it is on disk, uint8 [3, H, W]; None if nothing is to be drawn.
            prediction: what ``predict_step`` returned for it.
            class_names: names of the classes.
        """
        return []

    # --- set-up -------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Check network against data, load starting weights, then apply memory format and compilation."""
        data = getattr(self.trainer, "datamodule", None)
        data_classes = getattr(data, "num_classes", None)
        if data_classes is not None:
            self.check_classes(int(data_classes))
        for size in getattr(data, "image_sizes", set()) - self._taken_sizes:
            check_image_size(self.network, *size)
            self._taken_sizes.add(size)
        if stage == "fit" and self.init_from is not None and self.trainer.ckpt_path is None:
            anew = load_starting_weights(
                self.network, self.init_from, [placement.path for placement in self.placement.placements]
            )
            if anew and self.trainer.is_global_zero:
                print(f"weights of {self.init_from}; {', '.join(anew)} are newly initialized", flush=True)
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self.compile_network:
            self.network.compile()

    def on_fit_start(self) -> None:
        """Refuse a CUDA graph where there can be none."""
        self._captured = False
        if self.cuda_graph:
            check_capturable(self.trainer, self.device, compiled=self.compile_network)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Capture the training at its first batch, if that is asked for."""
        if self.cuda_graph and not self._captured:
            with self.trainer.precision_plugin.forward_context():
                capture_training(self.network, self.to_memory_format(batch[0]))
            self._captured = True

    @property
    def unhookable(self) -> bool:
        """Whether hooks on the network's layers see nothing: it is compiled, or replayed."""
        return self.compile_network or self.cuda_graph

    def check_classes(self, data_classes: int) -> None:
        """Refuse data with more classes than the network has outputs for.

        Raises:
            UserError: the data set has another number of classes.
        """
        if data_classes != self.num_classes:
            raise UserError(
                f"the data has {data_classes} classes, the network {self.num_classes}: "
                f"pass --model.num_classes {data_classes}"
            )

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule, stepped with it."""
        optimizer = self.optimizer(parameter_groups(self.network, [p.path for p in self.placement.placements]))
        if self.schedule is None:
            return optimizer
        if isinstance(self.schedule, EpochSchedule):
            scheduler: Any = by_epoch(optimizer, self.schedule, self.trainer)
        else:
            scheduler = self.schedule(optimizer)
            if isinstance(scheduler, ReduceLROnPlateau):  # looks at a score, which there is once an epoch
                plateau = {"scheduler": scheduler, "interval": "epoch", "monitor": scheduler.monitor}
                return {"optimizer": optimizer, "lr_scheduler": plateau}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # --- steps --------------------------------------------------------------------------------------------------

    def to_memory_format(self, images: Tensor) -> Tensor:
        """Bring a batch of images [B, C, H, W] into the network's type (that of ``bf16-true``, say) and memory format."""
        images = images.to(self.dtype)
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def attack(self, images: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the images of a test batch under ``test_attack``; as they are if that is null.

        Args:
            images: as the data module normalised them.
            targets: of them.
            loss: of such images and targets, a scalar.
        """
        if self.test_attack is None:
            return images
        trainer, first = self.trainer, self._scored_here
        indices = [(first + number) * trainer.world_size + trainer.global_rank for number in range(len(images))]
        data = trainer.datamodule  # type: ignore[attr-defined]
        # A test runs in inference mode, whose tensors autograd refuses; their clones it takes.
        with torch.inference_mode(False):
            mean, std = data.mean.to(images).clone(), data.std.to(images).clone()
            pixels, labels = images.clone() * std + mean, targets.clone()
            attacked = self.test_attack(pixels, indices, lambda changed: loss((changed - mean) / std, labels))
            normalised: Tensor = (attacked - mean) / std
        return normalised
