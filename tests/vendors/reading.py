"""Miniflux, FreshRSS, Readwise, Karakeep, linkding."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from rest_api import Asked

from vendors.base import SECRET, Record, Vendor, at, django, epoch, header_is, number, put, table, time_of

# Miniflux


def entry(n: int) -> Record:
    return {"id": n, "user_id": 1, "feed_id": 2, "status": "unread", "hash": f"h{n}", "title": f"Entry {n}", "url": f"https://x/{n}",
            "comments_url": "", "published_at": at(n), "created_at": at(n), "changed_at": at(n), "content": "<p>x</p>",
            "author": "", "share_code": "", "starred": False, "reading_time": 3, "enclosures": None, "tags": ["a"],
            "feed": {"id": 2, "title": "F"}}  # fmt: skip


def entries(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if asked.query.get("order") != "id":
        return 400, {}, {"error_message": "Invalid sorting order"}
    bound = number(asked, "changed_after", 0)
    rows = [r for r in vendor.tables["entries"] if time_of(r["changed_at"]).timestamp() > bound]
    first, most = number(asked, "offset", 0), number(asked, "limit", 100)
    return {"total": len(rows), "entries": rows[first : first + most] or None}


def miniflux() -> Vendor:
    return Vendor(
        "miniflux",
        {"feeds": lambda n: {"id": n, "user_id": 1, "feed_url": f"https://f/{n}", "site_url": "https://f", "title": f"Feed {n}",
                             "checked_at": at(n), "next_check_at": at(n), "parsing_error_count": 0, "disabled": False,
                             "category": {"id": 1, "title": "All"}, "icon": None},
         "categories": lambda n: {"id": n, "title": f"Cat {n}", "user_id": 1, "hide_globally": False}, "entries": entry},
        {"/v1/feeds": table("feeds"), "/v1/categories": table("categories"), "/v1/entries": entries},
        header_is("X-Auth-Token", SECRET),
        counts={"entries": 230},
        answers={"token": SECRET},
        bad=("entries", {"title": "no id", "changed_at": at(3)}),
        change={"entries": put("status", "read", changed_at=at), "feeds": put("title")},
        refusal=(401, {}, {"error_message": "Access Unauthorized"}),
    )  # fmt: skip


# FreshRSS


def article(n: int) -> Record:
    micro = epoch(n) * 1_000_000 + n
    return {"id": f"tag:google.com,2005:reader/item/{micro:016x}", "crawlTimeMsec": str(micro // 1000), "timestampUsec": str(micro),
            "published": epoch(n), "title": f"Article {n}", "canonical": [{"href": f"https://x/{n}"}],
            "alternate": [{"href": f"https://x/{n}"}], "categories": ["user/-/state/com.google/reading-list"],
            "origin": {"streamId": "feed/1", "title": "F"}, "summary": {"content": "<p>x</p>"}}  # fmt: skip


def client_login(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    said = {k: v[0] for k, v in parse_qs(asked.body.decode()).items()}
    if said != {"Email": "ann", "Passwd": SECRET} or vendor.locked:
        return 401, {"Content-Type": "text/plain"}, b"Unauthorized!"
    return (
        200,
        {"Content-Type": "text/plain; charset=UTF-8"},
        b"SID=ann/8e6845e\nLSID=null\nAuth=ann/8e6845e\n",
    )


def stream(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    bound = number(asked, "ot", 0) * 1_000_000
    rows = sorted(
        (r for r in vendor.tables["articles"] if int(r["timestampUsec"]) >= bound),
        key=lambda r: int(r["timestampUsec"]),
    )
    if asked.query.get("r") != "o":
        rows.reverse()
    first, most = number(asked, "c", 0), number(asked, "n", 20)
    more = {"continuation": str(first + most)} if first + most < len(rows) else {}
    return {
        "id": "user/-/state/com.google/reading-list",
        "updated": epoch(0),
        "items": rows[first : first + most],
        **more,
    }


def freshrss() -> Vendor:
    base = "/api/greader.php/"

    def may(asked: Asked) -> bool:
        return (
            asked.path.endswith("ClientLogin")
            or asked.headers.get("authorization") == "GoogleLogin auth=ann/8e6845e"
        )

    return Vendor(
        "freshrss",
        {"subscriptions": lambda n: {"id": f"feed/{n}", "title": f"Feed {n}", "url": f"https://f/{n}", "htmlUrl": "https://f",
                                     "categories": [{"id": "user/-/label/A", "label": "A"}], "iconUrl": "https://i"},
         "articles": article},
        {base + "accounts/ClientLogin": client_login,
         base + "reader/api/0/subscription/list": lambda v, a, f: {"subscriptions": v.tables["subscriptions"]},
         base + "reader/api/0/stream/contents/user/-/state/com.google/reading-list": stream},
        may,
        counts={"articles": 230},
        answers={"user": "ann", "password": SECRET},
        grow=("articles",),
        bad=("articles", {"title": "no id", "timestampUsec": str(epoch(3) * 1_000_000)}),
        change={"subscriptions": put("title")},
        refusal=(401, {"Content-Type": "text/plain"}, b"Unauthorized!"),
    )  # fmt: skip


# Readwise


def highlight(n: int) -> Record:
    return {"id": n, "text": f"Passage {n}", "note": "", "location": n, "location_type": "order", "highlighted_at": at(n), "url": None,
            "color": "", "updated": at(n), "book_id": 1, "tags": [{"id": 5, "name": "x"}]}  # fmt: skip


def book(n: int) -> Record:
    return {"id": n, "title": f"Book {n}", "author": "A", "category": "books", "source": "kindle", "num_highlights": n,
            "last_highlight_at": at(n), "updated": at(n), "cover_image_url": "", "highlights_url": "", "source_url": None,
            "asin": "", "tags": [], "document_note": ""}  # fmt: skip


def saved(n: int) -> Record:
    return {"id": f"d{n}", "url": f"https://read/{n}", "title": f"Page {n}", "author": "A", "source": "x", "category": "article",
            "location": "new", "tags": {}, "site_name": "S", "word_count": 10, "created_at": at(n), "updated_at": at(n),
            "published_date": "2026-01-01", "summary": "", "image_url": "", "content": None, "source_url": "", "notes": "",
            "parent_id": None, "reading_progress": 0.25, "first_opened_at": None, "last_opened_at": None, "saved_at": at(n),
            "last_moved_at": at(n)}  # fmt: skip


def after(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows = vendor.tables[name]
        if "updated__gt" in asked.query:
            rows = [r for r in rows if time_of(r["updated"]) > time_of(asked.query["updated__gt"])]
        return django(vendor, asked, rows, 1000, 100)

    return route


def reader(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows = vendor.tables["documents"]
    if "updatedAfter" in asked.query:
        rows = [r for r in rows if time_of(r["updated_at"]) > time_of(asked.query["updatedAfter"])]
    first = number(asked, "pageCursor", 0)
    return {"count": len(rows), "nextPageCursor": str(first + 100) if first + 100 < len(rows) else None,
            "results": rows[first : first + 100]}  # fmt: skip


def readwise() -> Vendor:
    return Vendor(
        "readwise",
        {"highlights": highlight, "books": book, "documents": saved},
        {"/v2/highlights/": after("highlights"), "/v2/books/": after("books"), "/v3/list/": reader},
        header_is("Authorization", f"Token {SECRET}"),
        counts={"highlights": 1010, "documents": 120},
        answers={"token": SECRET},
        bad=("highlights", {"text": "no id", "updated": at(3)}),
        change={
            "highlights": put("note", updated=at),
            "books": put("title", updated=at),
            "documents": put("title", updated_at=at),
        },
        refusal=(401, {}, {"detail": "Invalid token."}),
    )


# Karakeep


def kept(n: int) -> Record:
    return {"id": f"b{n}", "createdAt": at(n), "firstCreatedAt": at(n), "modifiedAt": at(n), "title": f"Bookmark {n}",
            "archived": False, "favourited": False, "taggingStatus": "success", "note": None, "summary": None, "userId": "u1",
            "tags": [{"id": "t1", "name": "data", "attachedBy": "ai"}], "assets": [],
            "content": {"type": "link", "url": f"https://x/{n}", "title": "X"}}  # fmt: skip


def keep_page(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows, first = vendor.tables[name], number(asked, "cursor", 0)
        most = number(asked, "limit", 20 if name != "tags" else 10**6)
        if most > 100 and name != "tags":
            return 400, {}, {"code": "invalid_limit", "message": "limit is at most 100"}
        more = str(first + most) if first + most < len(rows) else None
        return {name: rows[first : first + most], "nextCursor": more}

    return route


def karakeep() -> Vendor:
    return Vendor(
        "karakeep",
        {"bookmarks": kept,
         "lists": lambda n: {"id": f"l{n}", "name": f"List {n}", "icon": "x", "parentId": None, "type": "manual", "public": False,
                             "hasCollaborators": False, "userRole": "owner", "description": None, "query": None},
         "tags": lambda n: {"id": f"t{n}", "name": f"Tag {n}", "numBookmarks": n, "numBookmarksByAttachedType": {"ai": n}},
         "highlights": lambda n: {"id": f"h{n}", "bookmarkId": "b1", "startOffset": n, "endOffset": n + 5, "color": "yellow",
                                  "text": "x", "note": None, "userId": "u1", "createdAt": at(n)}},
        {"/api/v1/bookmarks": keep_page("bookmarks"), "/api/v1/tags": keep_page("tags"),
         "/api/v1/highlights": keep_page("highlights"), "/api/v1/lists": lambda v, a, f: {"lists": v.tables["lists"]}},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"bookmarks": 230, "highlights": 105},
        answers={"token": SECRET},
        bad=("bookmarks", {"title": "no id"}),
        change={"bookmarks": put("title", modifiedAt=at), "lists": put("name"), "tags": put("name"), "highlights": put("text")},
        refusal=(401, {}, {"code": "UNAUTHORIZED", "message": "Unauthorized"}),
    )  # fmt: skip


# linkding


def bookmark(n: int) -> Record:
    return {"id": n, "url": f"https://x/{n}", "title": f"Bookmark {n}", "description": "", "notes": "",
            "web_archive_snapshot_url": "", "favicon_url": None, "preview_image_url": None, "is_archived": False, "unread": False,
            "shared": False, "tag_names": ["a", "b"], "date_added": at(n), "date_modified": at(n), "website_title": None,
            "website_description": None}  # fmt: skip


def limited(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows, first, most = vendor.tables[name], number(asked, "offset", 0), number(asked, "limit", 100)
        following = (
            f"{vendor.api.url}{asked.path}?limit={most}&offset={first + most}"
            if first + most < len(rows)
            else None
        )
        return {
            "count": len(rows),
            "next": following,
            "previous": None,
            "results": rows[first : first + most],
        }

    return route


def linkding() -> Vendor:
    return Vendor(
        "linkding",
        {"bookmarks": bookmark, "archived": lambda n: {**bookmark(n), "is_archived": True},
         "tags": lambda n: {"id": n, "name": f"tag{n}", "date_added": at(n)}},
        {"/api/bookmarks/": limited("bookmarks"), "/api/bookmarks/archived/": limited("archived"), "/api/tags/": limited("tags")},
        header_is("Authorization", f"Token {SECRET}"),
        counts={"bookmarks": 230},
        answers={"token": SECRET},
        bad=("bookmarks", {"title": "no id"}),
        change={"bookmarks": put("title", date_modified=at), "archived": put("notes")},
        refusal=(401, {}, {"detail": "Invalid token."}),
    )  # fmt: skip


VENDORS = (miniflux, freshrss, readwise, karakeep, linkding)
