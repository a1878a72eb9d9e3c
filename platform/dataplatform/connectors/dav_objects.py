"""Objects of CalDAV and CardDAV servers: found (RFC 4791, 6352), and what changed (RFC 6578, or by ETag)."""

from __future__ import annotations

import io
import ssl
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from dataplatform.connectors.auth import OAuth2Auth
from dataplatform.connectors.contract import (
    Item,
    Part,
    Reject,
    Request,
    Since,
    State,
    deleted,
    of_kind,
    page_of,
)
from dataplatform.connectors.dav import DavConnector, DavEntity
from dataplatform.connectors.exports import contacts
from dataplatform.connectors.file_reading import Reading
from dataplatform.connectors.other_files import KINDS
from dataplatform.connectors.rest.credentials import credentials
from dataplatform.errors import ConnectionExpiredError, DataplatformError, SourceError, SourceUnavailableError

_SPACES = {
    "D": "DAV:", "C": "urn:ietf:params:xml:ns:caldav", "A": "urn:ietf:params:xml:ns:carddav",
    "S": "http://calendarserver.org/ns/",
}  # fmt: skip
_DECLARED = " ".join(f'xmlns:{name}="{space}"' for name, space in _SPACES.items())
_LISTED = "<D:resourcetype/><D:displayname/><D:sync-token/><S:getctag/>"
_HOMES = {"calendar": "C:calendar-home-set", "addressbook": "A:addressbook-home-set"}
_TYPES = {"calendar": "C:calendar", "addressbook": "A:addressbook"}
_NOT_GIVEN = "the server lists it and does not give it; the next run asks again"
_DATA = {
    "calendar": ("C", "calendar-multiget", "calendar-data"),
    "addressbook": ("A", "addressbook-multiget", "address-data"),
}
_WRONG = "is `url` that of a CalDAV or CardDAV server?"
Property = tuple[str, ElementTree.Element]
_MOST_REDIRECTS = 5


def read(request: Request, since: Since) -> Iterator[Item]:
    """Items of all collections that the entity means."""
    connector, entity = of_kind(request, DavConnector, DavEntity)
    before: dict[str, Any] = dict((since.state or {}).get("collections") or {})
    with closing(_server(request, connector)) as server:
        server, there = _collections(server, entity)
        found = [one for one in there if _is_wanted(one, entity)]
        if not found:
            raise SourceError(
                f"entity {request.name}: there is no {entity.kind} that matches {', '.join(entity.collections)}",
                "check `url`, `kind` and `collections`",
            )
        for href in set(before) - {one.href for one in found}:
            yield deleted({"href": gone} for gone in sorted(before[href]["etags"]))
        after: dict[str, Any] = {}
        for one in found:
            after[one.href] = yield from _objects(server, one, entity, before.get(one.href))
        yield State({"collections": after})


@dataclass(frozen=True)
class _Collection:
    """A calendar or an address book; `mark`: what is another when anything in it is (sync-token, or ctag)."""

    href: str
    name: str
    token: str
    mark: str


@dataclass(frozen=True)
class _Server:
    client: httpx.Client
    url: str
    size: int
    where: str
    hosts: tuple[str, ...] = ()
    connected: str = ""  # the source, where a person connected it

    def close(self) -> None:
        self.client.close()

    def ask(self, method: str, href: str, body: str, depth: str = "0") -> ElementTree.Element:
        """A multistatus. Raises SourceError for what no retry mends, _Refused for a report the server does not do."""
        url = self.address(self.url, href)
        for _ in range(_MOST_REDIRECTS):
            answer = self._sent(method, url, body, depth)
            if answer.status_code not in (301, 302, 303, 307, 308):
                break
            url = self.address(url, answer.headers.get("Location", ""))
        return self._multistatus(answer, method)

    def address(self, base: str, href: str) -> str:
        """Where that is; raises SourceError for another server, which would get the password."""
        to = urljoin(base, href)
        now, then = urlsplit(self.url), urlsplit(to)
        if (then.scheme, then.netloc) == (now.scheme, now.netloc):
            return to
        host = then.hostname or ""
        same = host == now.hostname and (then.port or 443) == (now.port or 443) and then.scheme == now.scheme
        named = any(fnmatchcase(host, one) for one in self.hosts) and then.scheme in (now.scheme, "https")
        if same or named:
            return to
        raise SourceError(
            f"{self.where} sends us on to another server, {then.netloc}",
            "correct `url`, or name it in `hosts`: it gets the password, or the token",
        )

    def _sent(self, method: str, url: str, body: str, depth: str) -> httpx.Response:
        text = f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode()
        try:
            return self.client.request(
                method, url, content=text, headers={"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
            )  # fmt: skip
        except httpx.TransportError as error:
            if "CERTIFICATE" in str(error).upper():
                raise SourceError(f"{self.where}: no secure connection: {error}", "`ca_file`?") from None
            raise SourceUnavailableError(f"{self.where}: {error or type(error).__name__}") from None

    def _multistatus(self, answer: httpx.Response, method: str) -> ElementTree.Element:
        status = answer.status_code
        if status == 401:
            raise self._refusal()
        if status in (429, 502, 503, 504):
            raise SourceUnavailableError(f"{self.where}: HTTP {status}")
        if status != 207:
            hint = (
                "may this account read it? of a token: are its `scopes` right?" if status == 403 else _WRONG
            )
            raise _Refused(f"{self.where}: HTTP {status} to {method}", hint)
        try:
            return ElementTree.fromstring(answer.content)
        except (ElementTree.ParseError, LookupError) as error:
            raise SourceError(f"{self.where}: its answer is no XML: {error}") from None

    def _refusal(self) -> SourceError:
        """Of a token that was renewed, too: whoever sends it has tried once."""
        if self.connected:
            return ConnectionExpiredError(
                f"{self.where} refuses the token, and a new one, too: HTTP 401",
                f"connect again: dataplatform connect {self.connected}",
            )
        return SourceError(f"{self.where} refused us: HTTP 401", "check username and password, or the token")


class _Refused(SourceError):
    """The server does not do what it was asked for."""


def _server(request: Request, connector: DavConnector) -> _Server:
    url = request.noted.note_url(str(request.resolve(connector.url)))
    context = ssl.create_default_context(cafile=connector.ca_file)
    auth = _auth(request, connector, url)
    client = httpx.Client(auth=auth, timeout=request.timeout, verify=context, follow_redirects=False)
    where = f"source {request.source.source}: {urlsplit(url).hostname}"
    connected = request.source.source if isinstance(connector.auth, OAuth2Auth) else ""
    return _Server(client, url, connector.page_size, where, connector.hosts, connected)


def _auth(request: Request, connector: DavConnector, url: str) -> httpx.Auth | None:
    if connector.auth is not None:
        return credentials(request, connector.auth, url)
    if connector.username is None or connector.password is None:
        return None
    return httpx.BasicAuth(str(request.resolve(connector.username)), str(request.resolve(connector.password)))


def _propfind(server: _Server, href: str, properties: str, depth: str = "0") -> Iterator[Property]:
    answer = server.ask(
        "PROPFIND", href, f"<D:propfind {_DECLARED}><D:prop>{properties}</D:prop></D:propfind>", depth
    )
    for response in answer.findall("D:response", _SPACES):
        for found in _given(response):
            yield _text(response, "D:href"), found


def _given(response: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The properties that it has, as against those that it only names."""
    for part in response.findall("D:propstat", _SPACES):
        found = part.find("D:prop", _SPACES)
        if " 200 " in f"{_text(part, 'D:status')} " and found is not None:
            yield found


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path, "", _SPACES) or "").strip()


def _collections(server: _Server, entity: DavEntity) -> tuple[_Server, list[_Collection]]:
    """Of the address itself, or of the user's home, which the server tells; it may be on another host."""
    start = urlsplit(server.url).path or "/"
    refused: _Refused | None = None
    try:
        if here := _listed(server, start, entity):
            return server, here
    except _Refused as error:  # a server's own address is often a web page
        refused = error
    principal = _pointed(server, start, "D:current-user-principal") or _pointed(
        server,
        f"/.well-known/{'caldav' if entity.kind == 'calendar' else 'carddav'}",
        "D:current-user-principal",
    )
    home = _pointed(server, principal or start, _HOMES[entity.kind])
    if not home and refused is not None:
        raise refused
    if not home:
        return server, []
    there = replace(server, url=server.address(server.url, home))
    return there, _listed(there, home, entity)


def _pointed(server: _Server, href: str, name: str) -> str:
    try:
        for _, found in _propfind(server, href, f"<{name}/>"):
            if target := _text(found, f"{name}/D:href"):
                return target
    except _Refused:
        return ""
    return ""


def _listed(server: _Server, href: str, entity: DavEntity) -> list[_Collection]:
    found = []
    for where, one in _propfind(server, href, _LISTED, "1"):
        if one.find(f"D:resourcetype/{_TYPES[entity.kind]}", _SPACES) is not None:
            path, token = urlsplit(where).path, _text(one, "D:sync-token")
            found.append(
                _Collection(path, _text(one, "D:displayname"), token, token or _text(one, "S:getctag"))
            )
    return sorted(found, key=lambda one: one.href)


def _is_wanted(one: _Collection, entity: DavEntity) -> bool:
    last = unquote(one.href.rstrip("/").rpartition("/")[2])
    return any(fnmatchcase(one.name, p) or fnmatchcase(last, p) for p in entity.collections)


def _objects(
    server: _Server, one: _Collection, entity: DavEntity, before: dict[str, Any] | None
) -> Generator[Item, None, dict[str, Any]]:
    """What changed in a collection; gives back where it stands, with what the server listed and did not give."""
    known: dict[str, str] = dict((before or {}).get("etags") or {})
    owed = set((before or {}).get("owed") or ())
    part_of = {"collection": one.href}
    if before is not None and one.mark and before.get("mark") == one.mark and not owed:
        yield page_of([], request={**part_of, "unchanged": True})
        return before
    changed, gone, token = _changes(server, one, known, (before or {}).get("token") or "")
    if gone:
        yield deleted({"href": href} for href in sorted(gone))
    now = {href: etag for href, etag in known.items() if href not in gone}
    asked, owed = sorted(changed | owed - gone), set()
    for some in _portions(asked, server.size):
        records = []
        missing = {unquote(href): href for href in some}
        for href, etag, data in _multiget(server, one, entity, some):
            missing.pop(unquote(href), None)
            if data is not None:  # what has gone meanwhile is said the next time
                now[href] = etag
                records.append(_record(href, etag, data, one, entity))
        owed.update(missing.values())
        records += [Reject(href, f"{href}: {_NOT_GIVEN}") for href in missing.values()]
        rejects = tuple(r for r in records if isinstance(r, Reject))
        good = [r for r in records if not isinstance(r, Reject)]
        yield page_of(good, request={**part_of, "objects": len(some)}, rejects=rejects)
    return {"token": token, "mark": one.mark, "etags": now, "owed": sorted(owed)}


def _portions(hrefs: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(hrefs), size):
        yield hrefs[start : start + size]


def _changes(
    server: _Server, one: _Collection, known: dict[str, str], token: str
) -> tuple[set[str], set[str], str]:
    """(changed, gone, new token); where the server has forgotten the token, or knows none, by comparing ETags."""
    if one.token:
        try:
            if token:
                return _synchronised(server, one, token)
            listed, _, fresh = _synchronised(server, one, "")
            return listed, known.keys() - listed, fresh
        except _Refused:
            pass  # a token that is too old, or no such report
    etags = {
        urlsplit(href).path: _text(found, "D:getetag")
        for href, found in _propfind(server, one.href, "<D:getetag/><D:resourcetype/>", "1")
        if found.find("D:resourcetype/D:collection", _SPACES) is None
    }
    etags.pop(one.href, None)
    changed = {href for href, etag in etags.items() if not etag or known.get(href) != etag}
    return changed, known.keys() - etags.keys(), one.token


def _synchronised(server: _Server, one: _Collection, token: str) -> tuple[set[str], set[str], str]:
    changed: set[str] = set()
    gone: set[str] = set()
    while True:
        body = (
            f"<D:sync-collection {_DECLARED}><D:sync-token>{escape(token)}</D:sync-token><D:sync-level>1</D:sync-level>"
            "<D:prop><D:getetag/></D:prop></D:sync-collection>"
        )
        answer = server.ask("REPORT", one.href, body)
        more = False
        for response in answer.findall("D:response", _SPACES):
            href = urlsplit(_text(response, "D:href")).path
            status = _text(response, "D:status")
            if href.rstrip("/") == one.href.rstrip("/"):
                more = more or " 507 " in f"{status} "  # there is more than it says at once
            elif " 404" in status:
                gone.add(href)
                changed.discard(href)
            else:
                changed.add(href)
                gone.discard(href)
        fresh = _text(answer, "D:sync-token")
        if not more or not fresh or fresh == token:
            return changed, gone, fresh or token
        token = fresh


def _multiget(
    server: _Server, one: _Collection, entity: DavEntity, hrefs: list[str]
) -> Iterator[tuple[str, str, str | None]]:
    """(href, ETag, text) of what the server gives; no text where it says that there is none any more."""
    space, report, data = _DATA[entity.kind]
    listed = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    body = f"<{space}:{report} {_DECLARED}><D:prop><D:getetag/><{space}:{data}/></D:prop>{listed}</{space}:{report}>"
    answer = server.ask("REPORT", one.href, body, "1")
    for response in answer.findall("D:response", _SPACES):
        href = urlsplit(_text(response, "D:href")).path
        given = list(_given(response))
        texts = [
            text for one in given if (text := one.findtext(f"{space}:{data}", None, _SPACES)) is not None
        ]
        if texts:
            yield href, next((etag for one in given if (etag := _text(one, "D:getetag"))), ""), texts[0]
        elif any(" 404" in (status.text or "") for status in response.iter("{DAV:}status")):
            yield href, "", None


def _record(href: str, etag: str, data: str, one: _Collection, entity: DavEntity) -> dict[str, Any] | Reject:
    reading = Reading({"file": href}, Part(href, ""), 0)
    reader = KINDS["ics"] if entity.kind == "calendar" else contacts.cards
    try:
        found = list(reader(io.BytesIO(data.encode()), reading))
    except DataplatformError as error:
        return Reject(data[:1000], f"{href}: {error.message}")
    bad = next((item for item in found if isinstance(item, Reject)), None)
    if bad is not None or not found:
        return Reject(data[:1000], f"{href}: {bad.reason if bad else 'it holds nothing'}")
    records = [item for item in found if not isinstance(item, Reject)]
    first = next((item for item in records if "recurrence_id" not in item), records[0])
    others = [item for item in records if item is not first]
    about = {"href": href, "etag": etag, "collection": one.name or one.href}
    return {**about, **first, **({"overrides": others} if others else {}), "data": data}
