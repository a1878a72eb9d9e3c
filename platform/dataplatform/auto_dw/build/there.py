"""The models that are there already, and what they say of themselves: what is built stays built, under its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dataplatform.auto_dw.look.profiles import Reference
from dataplatform.auto_dw.styles.common import Known, join_text, known
from dataplatform.auto_dw.styles.naming import snake

CALENDAR = "gold/auto_dw/dim_date.sql"
_ROOT = "gold/auto_dw"


def folder(schema: str) -> str:
    return f"{_ROOT}/{snake(schema)}"


@dataclass(frozen=True)
class There:
    """The models of a schema, and the calendar, by their path in the metadata folder; `tables`: what the schema has."""

    schema: str
    texts: Mapping[str, str]
    tables: tuple[str, ...]

    @cached_property
    def _said(self) -> Mapping[str, tuple[str, Known | None]]:
        """By path the table of each model, and what it says; None: an earlier release wrote it, which said nothing."""
        result: dict[str, tuple[str, Known | None]] = {}
        for path, text in self.texts.items():
            found, stem = known(text), Path(path).stem
            if found is not None and found.source in self.tables:
                result[path] = (found.source, found)
            elif found is None and (table := self._by_old_name.get(self._noun(stem))):
                result[path] = (table, None)
        return result

    @cached_property
    def _by_old_name(self) -> Mapping[str, str]:
        return {snake(table): table for table in self.tables}

    def _noun(self, stem: str) -> str:
        """`customers` of dim_customers; and of dim_shop__customers, where another schema has customers, too."""
        noun = stem.partition("_")[2]
        return noun if noun in self._by_old_name else noun.removeprefix(f"{snake(self.schema)}__")

    @property
    def called(self) -> dict[str, str]:
        """What models call a table, by the table."""
        return {table: self._noun(Path(path).stem) for path, (table, _) in self._said.items()}

    @property
    def built(self) -> frozenset[str]:
        """Tables of which there are models."""
        return frozenset(table for table, _ in self._said.values())

    @property
    def dimensions(self) -> frozenset[str]:
        """Tables that have a dimension of their own."""
        return frozenset(t for path, (t, _) in self._said.items() if Path(path).stem.startswith("dim_"))

    def form(self, relation: str, column: str) -> str | None:
        """How a column says when, as a model has understood it; one wrong value must not take its days away."""
        days = (day for _, said in self._said.values() if said for day in said.days)
        return next((form for place, name, _, _, form in days if (place, name) == (relation, column)), None)

    def follows(self, reference: Reference) -> bool:
        """Whether a model joins by the reference."""
        text = join_text(reference)
        return any(said is None or text in said.joins for said in self._of(reference.table))

    def has_key(self, table: str, key: tuple[str, ...]) -> bool:
        """Whether a model counts on the table's key."""
        return any(said is None or said.key == key for said in self._of(table))

    def _of(self, table: str) -> Iterable[Known | None]:
        return (said for of, said in self._said.values() if of == table)


def there(root: Path, schema: str, tables: Iterable[str]) -> There:
    """Reads them as they lie in the metadata folder."""
    paths = [*sorted((root / folder(schema)).glob("*.sql")), root / CALENDAR]
    texts = {p.relative_to(root).as_posix(): p.read_text() for p in paths if p.exists()}
    return There(schema, texts, tuple(tables))


def others(root: Path, schema: str) -> list[str]:
    """The models of all other schemas: the calendar is theirs, too."""
    own = root / folder(schema)
    return [p.read_text() for p in sorted((root / _ROOT).glob("*/*.sql")) if p.parent != own]
