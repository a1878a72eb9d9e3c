"""A draft as the text of a file: what is small stands on one line, as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dataplatform.drafting.proposals import Proposal
from dataplatform.errors import MetadataError
from dataplatform.metadata import Problem, Source
from dataplatform.metadata.catalog import source_of

LONGEST = 90  # characters of a mapping on one line


class _Lines(yaml.SafeDumper):
    """A dumper of our own, so that others are left alone."""


def _mapping(dumper: _Lines, value: dict[str, Any]) -> yaml.Node:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=False)
    node.flow_style = len(str(value)) <= LONGEST and _depth(value) <= 2
    return node


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, value.values()), default=0) if isinstance(value, dict) else 0


def _list(dumper: _Lines, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Lines.add_representer(dict, _mapping)
_Lines.add_representer(list, _list)


def as_yaml(document: Mapping[str, Any]) -> str:
    """The document as a file, its parts each in a block of their own.

    >>> entities = {"e": {"file": "e.csv", "key": ["id"]}}
    >>> print(as_yaml({"source": "s", "connector": {"type": "files", "path": "/d"}, "entities": entities}))
    source: s
    connector: {type: files, path: /d}
    entities:
      e: {file: e.csv, key: [id]}
    <BLANKLINE>
    """
    lines: list[str] = []
    for name, value in document.items():
        if name == "entities":
            lines.append("entities:\n")
            for entity, about in value.items():
                lines.append(_indented(_dumped({entity: about})))
        else:
            lines.append(_dumped({name: value}))
    return "".join(lines)


def _dumped(value: Mapping[str, Any]) -> str:
    ((name, inner),) = value.items()
    text = yaml.dump(inner, Dumper=_Lines, sort_keys=False, allow_unicode=True, width=10**6)
    text = text.removesuffix("...\n")
    if isinstance(inner, dict) and not text.startswith("{"):
        return f"{name}:\n{_indented(text)}"
    return f"{name}: {text}"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.rstrip("\n").split("\n"))


def as_source(text: str, file: Path) -> Source:
    """The source that a drafted text is."""
    problems: list[Problem] = []
    found = source_of(text, file, problems)
    if found is None:
        raise MetadataError(
            "\n".join(map(str, problems)), "this is a defect of dataplatform: please report it"
        )
    return found


def of_changes(source: Source, found: Proposal) -> list[str]:
    """How only what changed could be read, in words."""
    if found.changed is None or source.connector.type not in ("sql", "rest"):
        return []
    more = ", param: since" if source.connector.type == "rest" else ""
    return [
        f"{found.changed} looks like the time of the last change: to read only what changed, "
        f"`load: delta` and `cursor: {{field: {found.changed}{more}}}` (what is deleted is then not seen)"
    ]
