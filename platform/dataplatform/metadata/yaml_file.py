"""YAML with line numbers: reads a document and remembers where everything stood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
DEEPEST, MOST = 100, 500_000  # of a document: aliases may be within themselves, or make much of little


class YamlError(Exception):
    """The text is no YAML, or says something twice. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True)
class Document:
    """Data and the line of every path in it."""

    data: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Line of the path, or of the closest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


# libyaml where the wheel has it: eight times as fast, which 300 sources feel
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # one of two classes of the same interface
    """YAML 1.2's idea of booleans: `on`, `off`, `yes` and `no` are words (think of Norway)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rx) for tag, rx in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    list("tTfF"),
)


def parse(text: str, first_line: int = 1) -> Document:
    """Parses one document; raises YamlError with the line."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        data = _build(loader, node, (), lines, first_line) if node is not None else None
        return Document(data, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + first_line if mark else first_line
        raise YamlError(f"not YAML: {error.problem or error.context}", line) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"not YAML: {error.reason}", first_line) from None
    finally:
        loader.dispose()


def _build(loader: _Loader, node: Node, path: Path, lines: dict[Path, int], first: int) -> Any:
    line = node.start_mark.line + first
    if len(path) > DEEPEST or len(lines) > MOST:
        raise YamlError("this is too deep, or too much: does an alias (*name) repeat it?", line)
    lines.setdefault(path, line)
    if isinstance(node, SequenceNode):
        return [_build(loader, item, (*path, i), lines, first) for i, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        return _mapping(loader, node, path, lines, first)
    assert isinstance(node, ScalarNode)
    return loader.construct_object(node)


def _mapping(
    loader: _Loader, node: MappingNode, path: Path, lines: dict[Path, int], first: int
) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + first
        if not isinstance(key, str | int):
            raise YamlError(f"a key must be a word, not {key!r}", line)
        if key in result:
            raise YamlError(f"the key {key!r} is there twice", line)
        lines[(*path, key)] = line
        result[key] = _build(loader, value_node, (*path, key), lines, first)
    return result
