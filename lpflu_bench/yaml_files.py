"""YAML as people write it: what is wrong in a file is said in one line that names the file and the line."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lpflu_bench.errors import UserError, one_line


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, which silently keeps the last of two equal keys, with an error for the second one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                problem = f"the key '{key.value}' is given twice, in line {first[key.value]} and here; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            first[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        UserError: the file cannot be read, is not UTF-8 or not YAML, has a key twice, or is not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_where(error)}") from error
    if content is None:
        raise UserError(f"{path}: the file is empty; leave it out, or write settings into it")
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: must hold settings, such as `key: value`, not {one_line(repr(content), 60)}")
    return dict(content)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = one_line(getattr(error, "problem", None) or error)
    if "'\\t'" in problem:
        problem = "a tab; indent with spaces"
    elif "is given twice" not in problem:
        problem = f"invalid YAML: {problem}"
    return f", line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else f": {problem}"
