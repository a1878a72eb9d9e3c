"""What auto_dw asks a person."""

from __future__ import annotations

from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.said import people


def test_nothing_is_asked_about_the_platforms_own_columns() -> None:
    unsure = Verdict("attribute", 0.2)
    columns = {name: ColumnVerdict(unsure) for name in ("dp_key", "dp_root_key", "note")}
    profiles = {name: ColumnProfile(name, 1, "text", "text", 9) for name in columns}
    for key in ((), ("dp_key",)):
        table = TableVerdict(unsure, key, 0.1, (), columns)
        schema = SchemaProfile("s", {"t": TableProfile("s", "t", 9, tuple(profiles.values()))})
        asked = people.questions(schema, Evaluation("s", {"t": table}, ()))
        assert [q.column for q in asked if q.kind == "column_role"] == ["note"]
        assert not any("dp_" in f"{q.text} {q.draft} {q.legal}" for q in asked)
