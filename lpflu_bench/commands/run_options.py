"""The options of ``fit``, ``validate``, ``test`` and ``predict`` that most runs need, in sections.

LightningCLI takes some hundred more, and prints them at ``--help all``. Nothing is parsed here: these are the help and the
shell completion of commands whose own parser takes seconds to build.
"""

import argparse

USAGES = {
    "fit": "lpflu-bench fit --config FILE [--config FILE ...] [--KEY VALUE ...]",
    "validate": "lpflu-bench validate RUN [--KEY VALUE ...]",
    "test": "lpflu-bench test RUN [--KEY VALUE ...]",
    "predict": "lpflu-bench predict RUN [--KEY VALUE ...]",
}
_EXAMPLES = {
    "fit": """
  lpflu-bench fit --config tasks/demo/classification.yaml
  lpflu-bench fit --config tasks/cifar100/regnety_800mf.yaml --data.root DIR
""",
    "validate": """
  lpflu-bench validate runs/cifar100/lpflu-seed0
""",
    "test": """
  lpflu-bench test runs/cifar100/lpflu-seed0
  lpflu-bench test runs/cifar100/lpflu-seed0 --data.test_noise.kind gaussian
""",
    "predict": """
  lpflu-bench predict runs/cifar100/lpflu-seed0
""",
}
_RUN = ("RUN", "a run's folder, or a checkpoint: its configuration is the one that was trained")

# Option -> (what its value is called, what it is); a command has several of them, by title.
Section = dict[str, tuple[str | None, str]]

_MACHINE: Section = {
    "--trainer.accelerator": ("NAME", "auto, cpu, cuda or mps (default: a GPU if there is one)"),
    "--trainer.devices": ("N", "GPUs, or processes on the CPU (default: 1)"),
    "--trainer.precision": ("P", "32-true, bf16-mixed or 16-mixed (default: 32-true)"),
}
_DATA: Section = {
    "--data.root": ("DIR", "the folder of the data set (`lpflu-bench data check` looks whether it is complete)"),
    "--data.num_workers": ("N", "processes that load images, on each device"),
}
_FIT: dict[str, Section] = {
    "what is trained": {
        "--config": (
            "FILE",
            "a recipe of tasks/, then overlays of configs/: a later file wins, an option wins over all",
        ),
        "--model.activation": ("NAME", "the activation function (`lpflu-bench activations` lists them)"),
        "--model.network": ("NAME", "classification and detection (`lpflu-bench networks` lists them)"),
        "--model.architecture": ("NAME", "segmentation, with --model.encoder_name"),
        "--model.init_from": ("FILE", "start from these weights: a checkpoint, timm/NAME or torchvision/NAME"),
        "--seed_everything": ("N", "the same seed gives every function the same weights and batches (default: 0)"),
    },
    "data": {**_DATA, "--data.batch_size": ("N", "images in a batch on each device")},
    "training": {
        "--trainer.max_epochs": ("N", "passes over the training set"),
        "--model.optimizer.lr": ("RATE", "learning rate; --model.optimizer CLASS chooses another optimizer"),
        "--weight_ema.decay": ("D", "average the weights too, such as 0.999; both are scored"),
        "--diagnostics.every": ("N", "measure dead units, saturation and gradients every N steps"),
    },
    "where it runs": _MACHINE,
    "what it leaves": {
        "--run_dir": ("DIR", "folder of checkpoint, metrics and record (default: runs/TASK/ACTIVATION-seedSEED)"),
        "--ckpt_path": ("last", "resume the run in --run_dir"),
        "--task": ("NAME", "what the task is called in records and tables"),
        "--print_config": (None, "print the configuration that results, and train nothing"),
    },
}
_TESTED: dict[str, Section] = {
    "data": {**_DATA, "--data.test_batch_size": ("N", "images in a batch on each device")},
    "where it runs": _MACHINE,
}
_SECTIONS: dict[str, dict[str, Section]] = {
    "fit": _FIT,
    "validate": _TESTED,
    "test": {
        "other test images": {
            "--data.test_noise.kind": ("KIND", "gaussian, salt_and_pepper or impulse; with --data.test_noise.strength"),
            "--data.test_corruption.name": ("NAME", "one of CIFAR-C's corruptions, such as fog"),
            "--data.test_corruption.severity": ("N", "of the corruption: 1 to 5"),
            "--model.test_attack.kind": ("KIND", "fgsm or pgd (classification)"),
            "--model.test_attack.radius": ("R", "of the attack, in 255ths of the range of a pixel"),
        },
        **_TESTED,
    },
    "predict": {
        "what it writes": {
            "--format": ("FORM", "table; coco: detections as pycocotools' results.json too"),
            "--score_threshold": ("S", "leave out detections below it (default: 0)"),
        },
        **_TESTED,
    },
}
_FILES = {"--config", "--data.root", "--run_dir", "--model.init_from", "RUN"}


def options(command: str) -> list[str]:
    """Return the names of a command's options that its short help shows."""
    return [option for section in _SECTIONS[command].values() for option in section]


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the sections of one of the four commands, its usage and examples to a parser."""
    import shtab

    parser.usage = USAGES[command]
    parser.description = f"{parser.description}\n{_EXAMPLES[command]}"
    parser.epilog = _epilog(command)
    actions = []
    if command != "fit":
        actions.append(parser.add_argument(_RUN[0], nargs="?", help=_RUN[1]))
    for title, section in _SECTIONS[command].items():
        group = parser.add_argument_group(title)
        for option, (metavar, words) in section.items():
            kind = {"action": "store_true"} if metavar is None else {"metavar": metavar}
            names = ("-c", option) if option == "--config" else (option,)
            actions.append(group.add_argument(*names, help=words, **kind))  # type: ignore[arg-type]
    for action in actions:
        if _FILES & {action.dest, *action.option_strings}:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def _epilog(command: str) -> str:
    more = [(f"{command} --help all", "every option")]
    if command == "fit":
        more += [
            ("fit --model.help ClassificationModule", "what a kind of model takes"),
            ("fit --data.help CIFAR100", "what a kind of data takes"),
        ]
    return "more:\n" + "\n".join(f"  lpflu-bench {words:<40}{what}" for words, what in more)
