"""Names of folders as servers list them, and what a server that takes only ASCII is told."""

from __future__ import annotations

import imaplib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from dataplatform.connectors import imap, imap_session
from dataplatform.errors import SourceError


@pytest.mark.parametrize(
    ("listed", "name", "asked"),
    [
        (b"Entw&APw-rfe", "Entwürfe", '"Entw&APw-rfe"'), (b'"R&-D"', "R&D", '"R&-D"'), (b'"R&D-team"', "R&D-team", '"R&D-team"'),
        (b'"a\\"b"', 'a"b', '"a\\"b"'), (b"INBOX", "INBOX", '"INBOX"'),
    ],
)  # fmt: skip
def test_a_folder_is_asked_for_as_it_was_listed(listed: bytes, name: str, asked: str) -> None:
    """`R&D-team` is no name as IMAP writes them, and yet there are servers that have such."""
    server: Any = SimpleNamespace(list=lambda: ("OK", [b'(\\HasNoChildren) "/" ' + listed]))
    assert imap._folders(cast(imaplib.IMAP4, server)) == {name: asked}


def test_a_password_that_cannot_be_sent() -> None:
    def login(user: str, password: str) -> None:
        bytes(password, "ascii")

    server: Any = SimpleNamespace(capabilities=("IMAP4REV1",), login=login)
    with pytest.raises(SourceError, match="ASCII") as caught:
        imap_session._by_password(cast(imaplib.IMAP4, server), "ann", "hünter2")
    assert caught.value.__suppress_context__
    assert "nter2" not in str(caught.value)


def test_the_folders_that_the_docs_leave_out_of_gmail() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "servers.md").read_text()
    said = yaml.safe_load(page[page.index("host: imap.gmail.com") :].split("entities:")[1].split("```")[0])
    entity = imap.ImapEntity.model_validate(said["messages"])
    found = {name: imap._is_wanted(name, entity) for name in ("INBOX", "Work", "[Gmail]/All Mail", "G")}
    assert found == {"INBOX": True, "Work": True, "[Gmail]/All Mail": False, "G": True}
