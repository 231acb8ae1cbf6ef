"""Uses what the examples add, in a copy of the repository that has them; run by tests/test_docs.py.

python docs/examples/check.py
"""

from functools import partial
from pathlib import Path

import torch
from PIL import Image

from lpflu_bench import create_activation
from lpflu_bench.activations import conformance
from lpflu_bench.cli import main

SMOKE = ["--config", "configs/smoke.yaml", "--trainer.enable_progress_bar", "false"]


def run(*words: object) -> None:
    """Run a command line that has to succeed."""
    status = main([str(word) for word in words])
    assert status == 0, (words, status)


def function() -> None:
    """The function by name, its leaky form, and the checks that every function passes."""
    x = torch.tensor([-1e30, -1.0, 0.0, 1.0, 1e30])
    torch.testing.assert_close(create_activation("squareplus")(x), torch.tensor([0.0, 0.618034, 1.0, 1.618034, 1e30]))
    torch.testing.assert_close(create_activation("leaky_squareplus").eval()(x)[2], torch.tensor(0.99))
    for check in ("eager", "empty", "vmap"):
        conformance.CHECKS[check](partial(create_activation, "squareplus"))


def network() -> None:
    """A user's network, trained."""
    run(
        "fit",
        "--config",
        "tasks/demo/classification.yaml",
        *SMOKE,
        "--model.network",
        "my_net.py:Net",
        "--run_dir",
        "a",
    )


def layout() -> None:
    """A folder of that layout, found by looking, and trained on."""
    folder = Path("boxes")
    for split in ("train", "test"):
        rows = ["image,class,x1,y1,x2,y2"]
        for number in range(4):
            (folder / split).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), (number * 50, 0, 0)).save(folder / split / f"{number}.png")
            rows.append(f"{split}/{number}.png,square,{4 + number},4,40,40")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    data = ["--data", "DetectionFolder", "--data.root", folder, "--data.image_size", 64, "--model.num_classes", 1]
    run("fit", "--config", "tasks/voc/ssdlite320.yaml", *SMOKE, *data, "--data.cache", "none", "--run_dir", "b")


def task() -> None:
    """The new kind, trained, tested, and reported."""
    run("fit", "--config", "tasks/disks/resnet8.yaml", *SMOKE, "--run_dir", "c")
    run("test", "c")
    run("report", "c", "--include", "partial")


def executor() -> None:
    """A study of two cells on the new executor."""
    study = (
        "base: tasks/disks/resnet8.yaml\nset: {trainer.max_epochs: 1}\naxes: {activation: [relu, lpflu]}\nseeds: [0]\n"
    )
    Path("small.yaml").write_text(f"{study}metrics: [mae]\nreference: relu\n")
    run("study", "run", "small.yaml", "--executor", "threads", "--results", "results", "--runs", "runs")
    run("study", "report", "small.yaml", "--results", "results")


if __name__ == "__main__":
    for example in (function, network, layout, task, executor):
        example()
        print(f"example: {example.__name__}", flush=True)
