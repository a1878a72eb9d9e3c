"""Immich, ListenBrainz, Last.fm, Trakt, Jellyfin, Mastodon, Bluesky."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from rest_api import Asked

from vendors.base import SECRET, Record, Vendor, at, epoch, header_is, number, page_of, put, table, time_of

# Immich


def asset(n: int) -> Record:
    return {
        "id": f"as{n}", "type": "IMAGE", "originalFileName": f"IMG_{n}.jpg", "originalPath": f"/p/{n}", "ownerId": "u1",
        "deviceId": "phone", "fileCreatedAt": at(n), "fileModifiedAt": at(n), "localDateTime": at(n), "updatedAt": at(n),
        "isFavorite": False, "isArchived": False, "isTrashed": False, "duration": "0:00:00", "thumbhash": "x", "checksum": "y",
        "exifInfo": {"make": "Fair", "model": "Phone", "latitude": 52.1, "longitude": 4.9, "fileSizeInByte": 12345 * n},
        "people": [], "tags": [],
    }  # fmt: skip


def search(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if asked.method != "POST":
        return 404, {}, {"message": "Cannot GET /api/search/metadata"}
    body = asked.json
    rows = [r for r in vendor.tables["assets"] if body.get("withDeleted") or not r["isTrashed"]]
    if body.get("updatedAfter"):
        rows = [r for r in rows if time_of(r["updatedAt"]) >= time_of(body["updatedAfter"])]
    each, page = body.get("size", 250), body.get("page", 1)
    if not isinstance(page, int) or not isinstance(each, int) or each > 1000:
        return 400, {}, {"message": ["page: expected int"], "error": "Bad Request", "statusCode": 400}
    here = rows[(page - 1) * each : page * each]
    more = str(page + 1) if page * each < len(rows) else None
    none = {"total": 0, "count": 0, "items": [], "facets": []}
    return {
        "albums": none,
        "assets": {"total": len(here), "count": len(here), "items": here, "facets": [], "nextPage": more},
    }


def people(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows, each, page = vendor.tables["people"], number(asked, "size", 500), number(asked, "page", 1)
    return {"total": len(rows), "hidden": 0, "people": rows[(page - 1) * each : page * each],
            "hasNextPage": page * each < len(rows)}  # fmt: skip


def immich() -> Vendor:
    def trashed(record: Record, n: int) -> None:
        record.update(isTrashed=True, updatedAt=at(n))

    return Vendor(
        "immich",
        {
            "assets": asset,
            "albums": lambda n: {"id": f"al{n}", "albumName": f"Album {n}", "description": "", "assetCount": n, "ownerId": "u1",
                                 "createdAt": at(n), "updatedAt": at(n), "shared": False, "albumUsers": []},
            "people": lambda n: {"id": f"pe{n}", "name": f"Ann {n}", "birthDate": None, "thumbnailPath": "", "isHidden": False,
                                 "updatedAt": at(n)},
        },
        {"/api/search/metadata": search, "/api/albums": table("albums"), "/api/people": people},
        header_is("x-api-key", SECRET),
        counts={"assets": 520, "people": 510},
        answers={"token": SECRET},
        bad=("assets", {"isTrashed": False, "updatedAt": at(3)}),
        change={"assets": put("originalFileName", updatedAt=at), "albums": put("albumName"), "people": put("name")},
        remove={"assets": trashed},
        refusal=(401, {}, {"message": "Invalid API key", "error": "Unauthorized", "statusCode": 401}),
    )  # fmt: skip


# ListenBrainz


def listen(n: int) -> Record:
    return {"inserted_at": epoch(n), "listened_at": epoch(n), "recording_msid": f"m{n}", "user_name": "ann",
            "track_metadata": {"artist_name": "A", "track_name": f"T {n}", "release_name": "R",
                               "additional_info": {"duration_ms": 1}}}  # fmt: skip


def listens(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if "min_ts" in asked.query and "max_ts" in asked.query:
        return 400, {}, {"code": 400, "error": "You may only specify max_ts or min_ts, not both."}
    each = min(number(asked, "count", 25), 1000)
    rows = sorted(vendor.tables["listens"], key=lambda r: r["listened_at"])
    if "min_ts" in asked.query:
        here = [r for r in rows if r["listened_at"] > int(asked.query["min_ts"])][:each]  # the oldest of them
    else:
        here = [r for r in rows if r["listened_at"] < int(asked.query.get("max_ts", 10**12))][-each:]
    here.reverse()  # always given newest first
    latest = rows[-1]["listened_at"] if rows else 0
    return {"payload": {"count": len(here), "latest_listen_ts": latest, "oldest_listen_ts": 0, "user_id": "ann",
                        "listens": here}}  # fmt: skip


def listenbrainz() -> Vendor:
    return Vendor(
        "listenbrainz",
        {"listens": listen},
        {"/user/ann/listens": listens},
        header_is("Authorization", f"Token {SECRET}"),
        counts={"listens": 2100},
        answers={"token": SECRET, "user": "ann"},
        grow=("listens",),
        bad=("listens", {"listened_at": epoch(3), "track_metadata": {"track_name": "no id"}}),
        refusal=(401, {}, {"code": 401, "error": "Invalid authorization token."}),
        busy=(
            429,
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-In": "0", "Retry-After": "0"},
            {"error": "slow down"},
        ),
    )


# Last.fm


def scrobble(n: int) -> Record:
    return {"artist": {"mbid": "", "#text": "A"}, "streamable": "0", "image": [{"size": "small", "#text": "https://x/i.png"}],
            "mbid": "", "album": {"mbid": "", "#text": "R"}, "name": f"T {n}", "url": f"https://www.last.fm/music/A/_/T+{n}",
            "date": {"uts": str(epoch(n)), "#text": "01 Nov 2026, 10:00"}}  # fmt: skip


def lastfm_answer(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    kind = {
        "user.getrecenttracks": ("recenttracks", "scrobbles"),
        "user.getlovedtracks": ("lovedtracks", "loved_tracks"),
    }
    outer, name = kind[asked.query["method"].lower()]
    rows = sorted(vendor.tables[name], key=lambda r: -int(r["date"]["uts"]))
    rows = [r for r in rows if int(r["date"]["uts"]) >= number(asked, "from", 0)]
    each = min(number(asked, "limit", 50), 200)
    here = page_of(asked, rows, "page", "limit", 200, 50)
    if len(here) == 1:  # and nothing is playing: no list
        here = here[0]
    elif name == "scrobbles":  # what is playing stands on top of every page
        here = [{**scrobble(1), "name": "now", "date": None, "@attr": {"nowplaying": "true"}}, *here]
        del here[0]["date"]
    pages = str(-(-len(rows) // each))
    about = {
        "user": "ann",
        "page": asked.query.get("page", "1"),
        "perPage": str(each),
        "total": str(len(rows)),
        "totalPages": pages,
    }
    return {outer: {"track": here, "@attr": about}}


def lastfm() -> Vendor:
    return Vendor(
        "lastfm",
        {"scrobbles": scrobble, "loved_tracks": scrobble},
        {"/": lastfm_answer, "": lastfm_answer},
        lambda asked: asked.query.get("api_key") == SECRET and asked.query.get("user") == "ann",
        counts={"scrobbles": 410},
        answers={"token": SECRET, "user": "ann"},
        bad=("scrobbles", {"date": {"uts": str(epoch(3))}, "name": "no artist"}),
        change={"loved_tracks": put("mbid")},
        grow=("scrobbles",),
        refusal=(
            403,
            {},
            {"error": 10, "message": "Invalid API key - You must be granted a valid key by last.fm"},
        ),
        busy=(429, {"Retry-After": "0"}, {"error": 29, "message": "Rate Limit Exceeded"}),
    )


# Trakt


def watched(n: int) -> Record:
    movie = {
        "title": f"Film {n}",
        "year": 2020,
        "ids": {"trakt": n, "slug": f"film-{n}", "imdb": "tt1", "tmdb": n},
    }
    return {"id": n, "watched_at": at(n), "action": "watch", "type": "movie", "movie": movie}


def rated(n: int) -> Record:
    # of an import two have one time
    return {"rated_at": at(n - n % 2), "rating": n % 10 + 1, "type": "movie", "movie": watched(n)["movie"]}


def listed(n: int) -> Record:
    return {
        "rank": n,
        "id": n,
        "listed_at": at(n),
        "notes": None,
        "type": "movie",
        "movie": watched(n)["movie"],
    }


def trakt_list(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows = vendor.tables[name]
        if "start_at" in asked.query:
            rows = [r for r in rows if time_of(r["watched_at"]) >= time_of(asked.query["start_at"])]
        each = number(asked, "limit", 10)
        more = {
            "X-Pagination-Page": asked.query.get("page", "1"),
            "X-Pagination-Page-Count": str(-(-len(rows) // each)),
        }
        return 200, more, page_of(asked, rows, "page", "limit", 1000, 10)

    return route


def trakt() -> Vendor:
    def may(asked: Asked) -> bool:
        return asked.headers.get("trakt-api-key") == SECRET and asked.headers.get("trakt-api-version") == "2"

    return Vendor(
        "trakt",
        {"history": watched, "ratings": rated, "watchlist": listed},
        {f"/users/ann/{n}": trakt_list(n) for n in ("history", "ratings", "watchlist")},
        may,
        counts={"history": 230, "watchlist": 120},
        answers={"token": SECRET, "user": "ann"},
        bad=("history", {"watched_at": at(2), "type": "movie"}),
        change={"ratings": put("rating", 1), "watchlist": put("notes")},
        refusal=(403, {}, b'{"error":"invalid_api_key"}'),
        busy=(429, {"Retry-After": "0"}, {"error": "rate limit"}),
    )


# Jellyfin


def film(n: int) -> Record:
    return {"Name": f"Film {n}", "Id": f"{n:032x}", "ServerId": "s", "DateCreated": at(n), "Type": "Movie", "RunTimeTicks": 10**10,
            "ProductionYear": 2020, "Genres": ["Drama"], "ProviderIds": {"Tmdb": str(n)}, "IsFolder": False,
            "UserData": {"PlaybackPositionTicks": 0, "PlayCount": 1, "IsFavorite": False, "LastPlayedDate": at(n),
                         "Played": True, "Key": str(n)}, "ImageTags": {"Primary": "x"}, "BackdropImageTags": []}  # fmt: skip


def items(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows, first = vendor.tables["items"], number(asked, "startIndex", 0)
    if (
        asked.query.get("collapseBoxSetItems") != "false" and rows
    ):  # as a server that groups films into collections
        rows = [{"Name": "Box", "Id": "b" * 32, "Type": "BoxSet"}, *rows[2:]]
    here = rows[first : first + number(asked, "limit", 10**6)]
    return {"Items": here, "TotalRecordCount": len(rows), "StartIndex": first}


def jellyfin() -> Vendor:
    def played(record: Record, n: int) -> None:
        record["UserData"].update(PlayCount=5)

    return Vendor(
        "jellyfin",
        {"items": film, "users": lambda n: {"Name": f"User {n}", "Id": f"{n:032x}", "HasPassword": True, "Policy": {},
                                            "Configuration": {}, "LastLoginDate": at(n), "LastActivityDate": at(n)}},
        {"/Items": items, "/Users": table("users")},
        header_is("Authorization", f"MediaBrowser Token={SECRET}"),
        counts={"items": 1010},
        answers={"token": SECRET, "user": "u1"},
        bad=("items", {"Name": "no id"}),
        change={"items": played, "users": put("Name")},
        refusal=(401, {}, b""),
    )  # fmt: skip


# Mastodon


def status(n: int) -> Record:
    return {"id": str(113_000_000_000_000_000 + n), "created_at": at(n), "edited_at": None, "content": f"<p>Hi {n}</p>",
            "visibility": "public", "language": "en", "uri": f"https://x/{n}", "url": f"https://x/{n}", "replies_count": 0,
            "reblogs_count": 0, "favourites_count": 0, "sensitive": False, "spoiler_text": "", "reblog": None, "card": None,
            "poll": None, "account": {"id": "1", "acct": "ann"}, "media_attachments": [], "mentions": [],
            "tags": [{"name": "data", "url": "https://x/t"}], "emojis": []}  # fmt: skip


def account(n: int) -> Record:
    return {"id": str(n), "username": f"u{n}", "acct": f"u{n}", "display_name": f"U {n}", "created_at": at(n), "note": "",
            "followers_count": n, "following_count": 1, "statuses_count": 5, "last_status_at": at(n)[:10], "fields": []}  # fmt: skip


def timeline(name: str, most: int) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows = sorted(vendor.tables[name], key=lambda r: int(r.get("id", 0)), reverse=True)
        rows = [r for r in rows if int(r.get("id", 1)) > number(asked, "since_id", 0)]
        rows = [r for r in rows if int(r.get("id", 1)) < number(asked, "max_id", 10**19)]
        each = min(number(asked, "limit", 20), most)
        here = rows[:each]
        query = urlencode({**asked.query, "max_id": here[-1].get("id", 1)}) if here else ""
        link = {"Link": f'<{vendor.api.url}{asked.path}?{query}>; rel="next"'} if len(rows) > each else {}
        return 200, link, here

    return route


def me(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    return {**vendor.tables["me"][0]} if vendor.tables["me"] else {**account(1), "source": {}}


def mastodon() -> Vendor:
    return Vendor(
        "mastodon",
        {"me": lambda n: {**account(n), "source": {}}, "statuses": status, "bookmarks": status, "favourites": status,
         "following": account},
        {
            "/api/v1/accounts/verify_credentials": me,
            "/api/v1/accounts/1/statuses": timeline("statuses", 40),
            "/api/v1/accounts/1/following": timeline("following", 80),
            "/api/v1/bookmarks": timeline("bookmarks", 40),
            "/api/v1/favourites": timeline("favourites", 40),
        },
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"me": 1, "statuses": 95, "bookmarks": 50},
        answers={"token": SECRET},
        bad=("favourites", {"content": "no id"}),
        grow=("statuses",),
        change={"bookmarks": put("content"), "following": put("display_name")},
        refusal=(401, {}, {"error": "The access token is invalid"}),
        busy=(429, {"Retry-After": "0", "X-RateLimit-Remaining": "0"}, {"error": "Too many requests"}),
    )  # fmt: skip


# Bluesky

COLLECTIONS = {"posts": "app.bsky.feed.post", "likes": "app.bsky.feed.like", "reposts": "app.bsky.feed.repost",
               "follows": "app.bsky.graph.follow"}  # fmt: skip


def record(name: str) -> Any:
    collection = COLLECTIONS[name]
    return lambda n: {"uri": f"at://did:plc:ann/{collection}/{n:06}", "cid": f"c{n}",
                      "value": {"$type": collection, "text": f"Hi {n}", "createdAt": at(n), "langs": ["en"]}}  # fmt: skip


def records(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    name = {value: key for key, value in COLLECTIONS.items()}.get(asked.query.get("collection", ""))
    if name is None or asked.query.get("repo") != "ann.bsky.social":
        return 400, {}, {"error": "InvalidRequest", "message": "Could not find repo"}
    rows = sorted(vendor.tables[name], key=lambda r: r.get("uri", ""), reverse=True)
    rows = [r for r in rows if r.get("uri", "").rpartition("/")[2] < asked.query.get("cursor", "~")]
    here = rows[: min(number(asked, "limit", 50), 100)]
    cursor = {"cursor": here[-1].get("uri", "").rpartition("/")[2]} if here else {}
    return {"records": here, **cursor}


def bluesky() -> Vendor:
    return Vendor(
        "bluesky",
        {name: record(name) for name in COLLECTIONS},
        {"/xrpc/com.atproto.repo.listRecords": records},
        lambda asked: True,  # repositories are public
        counts={"posts": 230},
        answers={"user": "ann.bsky.social"},
        bad=("likes", {"cid": "c0", "value": {"text": "no uri"}}),
        change={"posts": put("value.text"), "follows": put("cid")},
        refusal=(400, {}, {"error": "InvalidRequest", "message": "Could not find repo: ann.bsky.social"}),
        busy=(429, {"Retry-After": "0"}, {"error": "RateLimitExceeded"}),
    )


VENDORS = (immich, listenbrainz, lastfm, trakt, jellyfin, mastodon, bluesky)
