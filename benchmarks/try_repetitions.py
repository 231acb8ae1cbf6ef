"""How often does `try` call a function better or worse that is ReLU but for the last digits?

Repeats the ladder of `lpflu-bench try`, with its looks, its rule and its sealed test, on trainings of a tiny network that
take a fraction of a second, each repetition with seeds of its own:

    uv run python benchmarks/try_repetitions.py --repetitions 40 --functions renamed perturbed

`renamed` is ReLU under another name, every run of which is the same to the last digit. `perturbed` multiplies the positive side
by 1 + 1e-6: another function as far as rounding goes, so that its runs part from ReLU's.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from lpflu_bench.data.synthetic_shapes import draw_shapes
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.sequential import default_looks
from lpflu_bench.judging import paired_runs
from lpflu_bench.judging.judgement import Settings
from lpflu_bench.judging.ladder import Ladder
from lpflu_bench.judging.paired_runs import PairedRuns
from lpflu_bench.judging.sealed_test import score_tests
from lpflu_bench.records import Record, blank
from lpflu_bench.scores import Score
from lpflu_bench.studies import cell
from lpflu_bench.studies.cell import Job, PlannedTest
from lpflu_bench.studies.executors.local import LocalExecutor
from lpflu_bench.studies.plan import Cell, Plan
from lpflu_bench.studies.store import Store

SCORE = Score("top1_error", "lower", "top-1 error", share=True, main=True)
SEEDS = Settings().max_seeds
IMAGES, HELD_OUT, TESTED, EPOCHS, BATCH = 400, 200, 400, 3, 40
_sets: dict[str, tuple[Tensor, Tensor]] = {}


class Perturbed(nn.Module):
    """ReLU with a slope of 1 + 1e-6."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return torch.relu(x) * (1 + 1e-6)


FUNCTIONS = {"relu": nn.ReLU, "renamed": nn.ReLU, "perturbed": Perturbed, "silu": nn.SiLU}


def data() -> dict[str, tuple[Tensor, Tensor]]:
    """The embedded shapes, the first of them."""
    if not _sets:
        (images, classes), (test_images, test_classes), _ = draw_shapes(10, IMAGES + HELD_OUT, TESTED)
        images, test_images = (part[:, :, ::2, ::2].float() / 255 - 0.5 for part in (images, test_images))
        _sets["train"] = (images[:IMAGES], classes[:IMAGES])
        _sets["val"] = (images[IMAGES:], classes[IMAGES:])
        _sets["test"] = (test_images, test_classes)
    return _sets


def train(job: Job) -> Record:
    """Train a small network and score it on the validation or, where one is planned, the test set."""
    seed, function = job.config["seed_everything"], FUNCTIONS[job.config["function"]]
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2), function(), nn.Conv2d(8, 16, 3, stride=2), function()),
        nn.Flatten(),
        nn.Linear(144, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    images, classes = data()["train"]
    losses = []
    for _ in range(EPOCHS):
        for batch in torch.randperm(IMAGES).split(BATCH):
            loss = nn.functional.cross_entropy(network(images[batch]), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    @torch.no_grad()
    def error(split: str) -> float:
        images, classes = data()[split]
        return 100 * (network(images).argmax(1) != classes).float().mean().item()

    record = blank(config={}, config_hash=job.cell, seed=seed, labels={}, at="")
    record["trained"]["curve"] = [{"epoch": 1.0, "train_loss": sum(losses), "val_top1_error": error("val")}]
    record["status"] = "fitted"
    if job.tests:
        record["status"] = "finished"
        test = {"weights": "raw", "conditions": {}, "incomplete": None, "metrics": {"top1_error": error("test")}}
        record["tested"] = [test]  # type: ignore[list-item]
    return record


def plan(function: str, against: list[str], first_seed: int) -> Plan:
    """Return the runs of one repetition."""
    cells, templates = [], []
    for number, name in enumerate([function, *against]):
        templates.append({("task",): "shapes", ("function",): name, ("data", "init_args", "root"): "embedded"})
        for seed in range(first_seed, first_seed + SEEDS):
            labels = {"task": "shapes", "network": "tiny", "activation": name, "seed": seed}
            cells.append(Cell(f"{number:04x}{seed:012x}", labels, number, seed))
    return Plan(tuple(cells), tuple(templates), (SCORE,), ((PlannedTest(),),) * len(templates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument(
        "--functions",
        nargs="+",
        choices=[name for name in FUNCTIONS if name != "relu"],
        default=["renamed", "perturbed"],
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="start no repetition after so long")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cell._clean_up = lambda: None  # collecting garbage after each run takes longer than the run
    paired_runs.ProcessExecutor = lambda folder, *_: LocalExecutor(folder)  # type: ignore[assignment,misc]
    settings = Settings()
    rule = Rule(settings.level / len(settings.tasks), {"": settings.margin}, default_looks(settings.max_seeds))
    begin = time.monotonic()
    words: dict[str, Counter[str]] = {name: Counter() for name in args.functions}
    seeds: dict[str, list[int]] = {name: [] for name in args.functions}
    for repetition in range(args.repetitions):
        if time.monotonic() - begin > 60 * args.minutes:
            break
        for name in args.functions:
            with tempfile.TemporaryDirectory() as folder:
                stores = [Store(part, Path(folder, "results"), Path(folder, "runs")) for part in ("own", "shared")]
                plans = {"shapes": plan(name, ["relu"], 1000 * repetition)}
                runs = PairedRuns(plans, name, ["relu"], rule, *stores, workers=1, runner=f"{__name__}:train")
                Ladder(runs).climb(3600)
                (result,) = score_tests(runs)
            words[name][result.versus[0].word] += 1
            seeds[name].append(result.versus[0].seeds)
    table = Table("function", "repetitions", "better", "worse", "equivalent", "undecided", "seeds, mean")
    for name, count in words.items():
        told = [count[word] for word in ("better", "worse", "equivalent")]
        open_ = count.total() - sum(told)  # undecided, or scores that are equal without being the same runs
        table.add_row(
            name, str(count.total()), *map(str, [*told, open_]), f"{sum(seeds[name]) / max(len(seeds[name]), 1):.1f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
