"""Changes that a person makes to the files of sources and models through a page: checked first, written whole or not.

A file with a password in it is refused: files go to git, and a page may show them to others.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataplatform.errors import MetadataError
from dataplatform.metadata.catalog import model_of_text, source_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.source import Source
from dataplatform.metadata.yaml_file import YamlError, parse
from dataplatform.names import NAME_PATTERN

LONGEST = 1_000_000  # characters of a file
PASSWORD = re.compile(r"://[^/@\s:]*:(?!\d{1,5}[/?#])[^@\s]+@")  # not a port, and an @ in the path behind it
HIDDEN = "***"
# a word after a name that says what it is, not `{secret: …}`; for files that cannot be read as a source
_WRITTEN = re.compile(
    r"(?im)^(.*\b(?:password|passwd|token|api_?key|private_key)[\"']?\s*:\s*)(?!\{)[^\s,{}]+"
)
_SECRET = re.compile(r"password|passwd|token|secret|api_?key|^key$|private_key|credential", re.I)


def digest(text: str) -> str:
    """Tells whether a file is still as somebody has seen it."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def source_file(root: Path, name: str) -> Path:
    """Where that source's file is, or would be; raises MetadataError for what is no name of a source."""
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > 40:
        raise MetadataError(
            f"{name!r} cannot be the name of a source", "lower-case letters, digits and _ between"
        )
    folder = root / "sources"
    other = folder / f"{name}.yml"
    return other if other.is_file() else folder / f"{name}.yaml"


def model_file(root: Path, name: str) -> Path:
    """Where a new model's file would be; raises MetadataError for what is no name of a model, or is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise MetadataError(f"{name!r} cannot be the name of a model", "lower-case letters, digits and _")
    taken = [path for path in (root / "gold").rglob("*.sql") if path.stem == name]
    if taken:
        raise MetadataError(f"there is a model {name} already, in {taken[0]}", "choose another name")
    return root / "gold" / f"{name}.sql"


def named_in(text: str) -> str:
    """What a text says that its source is called; empty where it does not."""
    try:
        data = parse(text).data
    except YamlError:
        found = re.search(r"^source:\s*([^\s#]+)", text, re.M)
        return found[1] if found else ""
    name = data.get("source") if isinstance(data, dict) else None
    return name if isinstance(name, str) else ""


def source_text(root: Path, name: str) -> str:
    """The file as it is; empty where there is none."""
    file = source_file(root, name)
    _refuse_outside(root, file)
    return file.read_text("utf-8", "replace") if file.is_file() else ""


def shown_text(root: Path, name: str) -> str:
    """The file for people to read: what may be a secret that somebody wrote into it is not shown."""
    text = source_text(root, name)
    source = source_of(text, source_file(root, name), [])
    if source is not None:
        for path in _plain_secrets(_parts_of(source)):
            value = _at(_parts_of(source), path)
            text = text.replace(value, HIDDEN) if len(value) > 3 else text
    text = PASSWORD.sub(lambda found: f"{found[0].partition('://')[0]}://{HIDDEN}@", text)
    return _WRITTEN.sub(rf"\g<1>{HIDDEN}", text)


def _parts_of(source: Source) -> dict[str, Any]:
    entities = {name: entity.model_dump(mode="python") for name, entity in source.entities.items()}
    return {"connector": source.connector.model_dump(mode="python", warnings=False), "entities": entities}


def _at(value: Any, path: tuple[str, ...]) -> str:
    for step in path:
        value = value[int(step)] if isinstance(value, list | tuple) else value[step]
    return str(value)


def problems_of_source(root: Path, name: str, text: str) -> list[Problem]:
    """What is wrong with a text as that source's file, plain secrets included."""
    file, problems = source_file(root, name), list[Problem]()
    if len(text) > LONGEST:
        return [Problem(str(file), 1, "", f"the text is over {LONGEST:,} characters long")]
    source = source_of(text, file, problems)
    if source is None:
        return problems
    return [
        Problem(
            str(file), _line_of(text, path), ".".join(path), "a secret stands here as it is",
            legal="{secret: NAME}, and the value with `dataplatform secrets set NAME`, or in the environment",
        )
        for path in _plain_secrets(_parts_of(source))
    ]  # fmt: skip


def save_source(
    root: Path, name: str, text: str, seen: str, first: Callable[[str], None] = lambda before: None
) -> Path:
    """Writes the file; raises MetadataError with every problem, or where it is not as it was `seen` (its digest).

    `first` is called with what is there, where all is right and before it is replaced.
    """
    text = text.replace("\r\n", "\n")
    file = source_file(root, name)
    _refuse_outside(root, file)
    problems = problems_of_source(root, name, text)
    if problems:
        raise MetadataError("\n".join(map(str, problems)), "correct these lines; nothing was written")
    with _alone(file.parent):
        before = source_text(root, name)
        if digest(before) != seen:
            raise MetadataError(
                f"{file.name} has changed since you opened it, and nothing was written",
                "copy your text, open the page again and put your changes into what is there now",
            )
        first(before)
        write(file, text if text.endswith("\n") else text + "\n")
    return file


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time, of all processes: nobody writes between the look at what is there and its replacement."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save_model(root: Path, name: str, text: str) -> Path:
    """Writes a new model's file; raises MetadataError with what is wrong with its header."""
    file, problems = model_file(root, name), list[Problem]()
    _refuse_outside(root, file)
    if model_of_text(text, file, problems) is None:
        raise MetadataError("\n".join(map(str, problems)), "correct these lines; nothing was written")
    with _alone(file.parent):
        write(model_file(root, name), text if text.endswith("\n") else text + "\n")
    return file


def write(file: Path, text: str) -> None:
    """Beside, then renamed: a reader finds the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        if file.exists():
            beside.chmod(file.stat().st_mode & 0o777)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _refuse_outside(root: Path, file: Path) -> None:
    """A link may lead anywhere."""
    if not file.resolve().is_relative_to(root.resolve()):
        raise MetadataError(f"{file} leads out of {root}", "edit it where it is")


def _plain_secrets(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of texts that hold a password, by their name or as part of a URL."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, str) and is_credential(path, str(name)) and inner:
                yield (*path, str(name))
            elif set(value) != {"secret"}:
                yield from _plain_secrets(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _plain_secrets(inner, (*path, str(number)))
    elif isinstance(value, str) and PASSWORD.search(value):
        yield path


def is_credential(path: tuple[str, ...], name: str) -> bool:
    """`key` is a credential of `auth`, and the key of records elsewhere."""
    if path[:1] != ("connector",) or name in ("type", "name", "location", "secret"):
        return False
    return bool(_SECRET.search(name)) and (name != "key" or "auth" in path)


def _line_of(text: str, path: tuple[str, ...]) -> int:
    return parse(text).line(tuple(int(step) if step.isdigit() else step for step in path))
