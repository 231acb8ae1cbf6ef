"""Check that a data set is complete and readable; if not, say what is expected where and how to get it."""

import argparse
import sys

# Kind -> data module. It is read as for a run, with its defaults: what this accepts, `fit` accepts.
KINDS = {
    "cifar100": "CIFAR100",
    "cifar10": "CIFAR10",
    "fashion_mnist": "FashionMNIST",
    "image_folder": "ImageFolder",
    "voc": "VOC",
    "cityscapes": "Cityscapes",
}
_NAMES_SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="is everything there?", description=__doc__)
    check.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))
    check.add_argument("--data.root", dest="root", metavar="DIR", required=True, help="the folder that holds the data")


def run(args: argparse.Namespace) -> int:
    """Read the set, print what is there, and return 0 if it is whole, 1 if samples of the official set are missing."""
    import lpflu_bench.data
    from lpflu_bench.errors import UserError

    module = getattr(lpflu_bench.data, KINDS[args.kind])(root=args.root)
    try:
        module.setup("check")
    except UserError as error:
        if module.layout in str(error):
            raise
        raise UserError(f"{error}. {module.layout}") from error
    names = module.class_names
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    print(f"{args.kind} in {args.root}: {module.train_size:,} training and {module.test_size:,} test images")
    print(f"{len(names)} classes: {shown}")
    sizes = (module.train_size, module.test_size)
    if module.official_sizes not in (None, sizes):
        train, test = module.official_sizes
        print(
            f"lpflu-bench: the official set has {train:,} training and {test:,} test images: this one is another or "
            f"not whole. {module.layout}",
            file=sys.stderr,
        )
        return 1
    return 0
