"""Lists of the ranks put together."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch.distributed


def in_order(items: Sequence[Any], group: Any = None) -> list[Any]:
    """Return the items of all ranks in the data set's order; in one process, its own.

    Rank r of w has items r, r + w, ... (:class:`lpflu_bench.data.samplers.DatasetOrder`): assigned round-robin, they come
    back in order, whatever the numbers of items are. Every rank sends its list in one object.

    Args:
        items: one for each image of this rank, picklable, none of them None.
        group: of the ranks; all by default.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return list(items)
    theirs: list[Any] = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(theirs, list(items), group=group)
    return [item for turn in zip_longest(*theirs) for item in turn if item is not None]
