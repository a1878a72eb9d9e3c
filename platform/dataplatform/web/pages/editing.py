"""The page on which a source's text is written, tried and saved; secrets that are typed there go to the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from dataplatform.embedded.private import make_private
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.metadata import editing
from dataplatform.metadata.catalog import source_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.source import Source
from dataplatform.reading.first_page import Arriving, arriving
from dataplatform.secrets import LocalStore
from dataplatform.secrets.resolver import names_in
from dataplatform.web import earlier
from dataplatform.web.live import Live, Now
from dataplatform.web.render import render
from dataplatform.web.typed import new_draft
from dataplatform.web.who import Who

SECRET = "secret:"  # how the fields of secrets begin


@dataclass(frozen=True)
class Asked:
    """A secret that a text names: in which store it is, whether it was typed here, or what ails the stores."""

    name: str
    store: str = ""
    typed: bool = False
    error: str = ""


@dataclass(frozen=True)
class Draft:
    """A text somebody works on. `name`: of the source that it changes, empty for a new one; `seen`: the digest of its
    file then; `id`: by which typed secrets are found."""

    name: str
    text: str
    seen: str
    id: str
    who: str

    @property
    def called(self) -> str:
        return self.name or editing.named_in(self.text)


def fresh(who: Who, text: str, name: str = "") -> Draft:
    return Draft(name, text, editing.digest(text if name else ""), new_draft(), who.name)


def sent(who: Who, form: FormData, live: Live, name: str = "") -> Draft:
    """What a form says; secrets that were typed are kept for it, in memory."""
    id_ = str(form.get("draft", "")) or new_draft()
    typed = {key.removeprefix(SECRET): str(value) for key, value in form.items() if key.startswith(SECRET)}
    live.typed.add(who.name, id_, {key: value for key, value in typed.items() if value})
    seen = str(form.get("seen", ""))
    return Draft(name, str(form.get("text", "")).replace("\r\n", "\n"), seen, id_, who.name)


def worked(
    request: Request, live: Live, now: Now, draft: Draft, do: str, problems: list[Problem]
) -> Response:
    """Tries, checks or saves it; the page again where that is not all right."""
    if problems or do != "save":
        source = source_of(draft.text, _file(now, draft), []) if not problems else None
        typed = live.typed.of(draft.who, draft.id)
        tried = arriving(now.platform, source, typed) if source is not None and do == "try" else None
        return page(request, live, now, draft, problems, True, tried)
    try:
        _save(live, now, draft)
    except DataplatformError as error:
        return page(request, live, now, draft, [Problem("", 0, "", error.message, legal=error.remedy)], True)
    return RedirectResponse(f"/sources/{draft.called}", 303)


def _save(live: Live, now: Now, draft: Draft) -> None:
    """Secrets first: a run that begins with the file finds them."""
    root, typed = now.platform.catalog.root, live.typed.of(draft.who, draft.id)
    source = source_of(draft.text, _file(now, draft), [])
    named = _secrets_of(source) if source is not None else ()
    own = {name: value for name, value in typed.items() if name in named}

    def first(before: str) -> None:
        keep_secrets(now, own)
        if before.rstrip() != draft.text.rstrip():
            earlier.keep(now.platform.settings.home_path, draft.called, before, draft.who)

    editing.save_source(root, draft.called, draft.text, draft.seen, first)
    live.typed.drop(draft.who, draft.id)
    live.forget_access()


def keep_secrets(now: Now, values: Mapping[str, str]) -> None:
    """Into the local store; raises MetadataError where another store is asked before it, or it is not asked at all."""
    if not values:
        return
    secrets, home = now.platform.secrets, now.platform.settings.home_path
    if "local" not in [store.name for store in secrets.stores]:
        raise MetadataError(
            "what is typed here goes to the local store, and DATAPLATFORM_SECRET_STORES does not name it",
            f"set {', '.join(sorted(values))} in a store that it names, and leave the fields empty",
        )
    for name, value in values.items():
        found = secrets.find(name)
        if found is not None and found[0] != "local" and found[1] != value:
            raise MetadataError(
                f"the secret {name} has another value in {found[0]}, which counts before the local store",
                "change it there, or choose another name in the text",
            )
    make_private(home)
    LocalStore(home).update(values)


def page(
    request: Request,
    live: Live,
    now: Now,
    draft: Draft,
    problems: Sequence[Problem] = (),
    checked: bool = False,
    tried: Mapping[str, Arriving] | None = None,
    notes: Mapping[str, list[str]] | None = None,
    diff: Sequence[str] = (),
) -> Response:
    told = [{"line": p.line, "text": _told(p)} for p in problems]
    source = source_of(draft.text, _file(now, draft), []) if draft.called else None
    return render(
        request, "source_edit.html", 400 if problems else 200, new=not draft.name, name=draft.name, text=draft.text,
        seen=draft.seen, draft=draft.id, problems=told, checked=checked, tried=tried, notes=notes or {}, diff=diff,
        earlier=earlier.versions(now.platform.settings.home_path, draft.name) if draft.name else [],
        secrets=_asked(live, now, draft, source), file=f"metadata/sources/{draft.called or 'NAME'}.yaml",
    )  # fmt: skip


def _file(now: Now, draft: Draft) -> Any:
    try:
        return editing.source_file(now.platform.catalog.root, draft.called)
    except MetadataError:
        return now.platform.catalog.root / "sources" / "NAME.yaml"


def _secrets_of(source: Source) -> list[str]:
    return sorted(names_in(source.model_dump(mode="python")))


def _asked(live: Live, now: Now, draft: Draft, source: Source | None) -> list[Asked]:
    typed = live.typed.of(draft.who, draft.id)
    names = _secrets_of(source) if source is not None else sorted(typed)
    return [_one(now, name, name in typed) for name in names]


def _one(now: Now, name: str, typed: bool) -> Asked:
    try:
        found = now.platform.secrets.find(name)
    except DataplatformError as error:
        return Asked(name, typed=typed, error=error.message)
    return Asked(name, found[0] if found else "", typed)


def _told(problem: Problem) -> str:
    return str(problem).removeprefix(f"{problem.file}:{problem.line}: ")
