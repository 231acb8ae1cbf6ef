"""Functions and networks on the command line."""

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.training.arguments import prepare


@pytest.mark.parametrize("value", ["my_functions.py:", "{clas_path: lpflu}", "{class_path: lpflu, init_arg: {}}"])
@pytest.mark.parametrize("key", ["model.activation", "model.network"])
def test_a_key_that_names_nothing_is_not_ignored(key, value):
    with pytest.raises(
        UserError, match=rf"^{key}: unknown keys (my_functions.py|clas_path|init_arg); a mapping has class"
    ):
        prepare([f"--{key}", value])
