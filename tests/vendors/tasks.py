"""Todoist, Toggl Track, Clockify, Vikunja; Nightscout; Paperless-ngx, Nextcloud."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_api import Asked

from vendors.base import (
    SECRET,
    Record,
    Vendor,
    at,
    django,
    epoch,
    header_is,
    moment,
    number,
    page_of,
    put,
    table,
    time_of,
)

# Todoist


def task(n: int) -> Record:
    return {"user_id": "1", "id": f"t{n}", "project_id": "p1", "section_id": None, "parent_id": None, "labels": ["home"],
            "deadline": None, "duration": None, "checked": False, "is_deleted": False, "added_at": at(n), "completed_at": None,
            "updated_at": at(n), "due": {"date": "2026-12-01", "is_recurring": False}, "priority": 1, "child_order": n,
            "content": f"Task {n}", "description": "", "day_order": -1}  # fmt: skip


def done(n: int) -> Record:
    return {**task(n), "id": f"d{n}", "checked": True, "completed_at": at(n)}


def cursored(name: str, outer: str = "results") -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        if (limit := number(asked, "limit", 50)) > 200:
            return 400, {}, {"error": "Invalid argument value", "error_extra": {"argument": "limit"}}
        rows = vendor.tables[name]
        if name == "completed_tasks":
            if not {"since", "until"} <= set(asked.query):
                return 400, {}, {"error": "Required argument is missing"}
            first, last = time_of(asked.query["since"]), time_of(asked.query["until"])
            if last - first > timedelta(days=92):
                return 400, {}, {"error": "The date range is at most three months"}
            rows = [r for r in rows if first <= time_of(r["completed_at"]) <= last]
        start = int(base64.b64decode(asked.query["cursor"]) if "cursor" in asked.query else 0)
        more = base64.b64encode(str(start + limit).encode()).decode() if start + limit < len(rows) else None
        return {outer: rows[start : start + limit], "next_cursor": more}

    return route


def todoist() -> Vendor:
    return Vendor(
        "todoist",
        {
            "tasks": task,
            "completed_tasks": done,
            "projects": lambda n: {"id": f"p{n}", "name": f"Project {n}", "color": "blue", "parent_id": None, "created_at": at(n),
                                   "updated_at": at(n), "is_archived": False, "child_order": n},
            "sections": lambda n: {"id": f"s{n}", "name": f"Section {n}", "project_id": "p1", "section_order": n,
                                   "added_at": at(n), "updated_at": at(n)},
            "labels": lambda n: {"id": f"l{n}", "name": f"label{n}", "color": "red", "order": n, "is_favorite": False},
        },
        {"/tasks": cursored("tasks"), "/projects": cursored("projects"), "/sections": cursored("sections"),
         "/labels": cursored("labels"), "/tasks/completed/by_completion_date": cursored("completed_tasks", "items")},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"tasks": 410, "completed_tasks": 210},
        answers={"token": SECRET},
        grow=("completed_tasks",),
        bad=("tasks", {"content": "no id"}),
        change={"tasks": put("content", updated_at=at), "projects": put("name", updated_at=at)},
        refusal=(401, {"Content-Type": "text/plain"}, b"Unauthorized"),
    )  # fmt: skip


# Toggl Track


def tracked(n: int) -> Record:
    return {"id": 100 + n, "workspace_id": 1, "project_id": 2, "task_id": None, "billable": False, "start": at(n), "stop": at(n + 5),
            "duration": 300, "description": f"Work {n}", "tags": [], "tag_ids": [], "at": at(n), "server_deleted_at": None,
            "user_id": 1}  # fmt: skip


def tracked_since(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows = vendor.tables["time_entries"]
    if "since" not in asked.query:
        return [r for r in rows if not r["server_deleted_at"]]
    if datetime.now(UTC).timestamp() - int(asked.query["since"]) > 92 * 86400:
        return 400, {}, "since must be within the last three months"
    return [r for r in rows if time_of(r["at"]).timestamp() >= int(asked.query["since"])]


def named(n: int) -> Record:
    return {"id": n, "name": f"Name {n}", "at": at(n), "workspace_id": 1}


def toggl() -> Vendor:
    def gone(record: Record, n: int) -> None:
        record.update(server_deleted_at=at(n), at=at(n))

    key = base64.b64encode(f"{SECRET}:api_token".encode()).decode()
    return Vendor(
        "toggl",
        {"time_entries": tracked, "projects": lambda n: {**named(n), "active": True, "actual_hours": n, "created_at": at(n)},
         "clients": named, "tags": named, "workspaces": named},
        {"/me/time_entries": tracked_since, **{f"/me/{n}": table(n) for n in ("projects", "clients", "tags")},
         "/workspaces": table("workspaces")},
        header_is("Authorization", f"Basic {key}"),
        answers={"token": SECRET},
        bad=("time_entries", {"description": "no id", "server_deleted_at": None, "at": at(3)}),
        change={"time_entries": put("description", at=at), "projects": put("name"), "clients": put("name")},
        remove={"time_entries": gone},
        refusal=(403, {"Content-Type": "text/plain"}, b"Incorrect username and/or password"),
        busy=(429, {"Retry-After": "0"}, b"Too Many Requests"),
    )  # fmt: skip


# Clockify


def clocked(n: int) -> Record:
    return {"id": f"e{n}", "description": f"Work {n}", "tagIds": [], "userId": "u1", "billable": True, "taskId": None,
            "projectId": "p1", "workspaceId": "w1", "isLocked": False, "kioskId": None, "customFieldValues": [],
            "timeInterval": {"start": at(n), "end": at(n + 9), "duration": "PT9M"}}  # fmt: skip


def clockify_list(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows = vendor.tables[name]
        if name == "time_entries":
            rows = sorted(rows, key=lambda r: r["timeInterval"]["start"], reverse=True)
            if "start" in asked.query:
                rows = [
                    r for r in rows if time_of(r["timeInterval"]["start"]) >= time_of(asked.query["start"])
                ]
        return page_of(asked, rows, "page", "page-size", 5000, 50)

    return route


def clockify_user(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    return vendor.tables["me"][0] if vendor.tables["me"] else {**the_user(1)}


def the_user(n: int) -> Record:
    return {"id": "u1", "email": "ann@example.org", "name": "Ann", "activeWorkspace": "w1", "defaultWorkspace": "w1",
            "settings": {"weekStart": "MONDAY"}, "status": "ACTIVE", "memberships": []}  # fmt: skip


def clockify() -> Vendor:
    return Vendor(
        "clockify",
        {
            "me": the_user,
            "time_entries": clocked,
            "projects": lambda n: {"id": f"p{n}", "name": f"Project {n}", "clientId": "", "archived": False, "duration": "PT1H",
                                   "note": "", "memberships": []},
            "clients": lambda n: {"id": f"c{n}", "name": f"Client {n}", "email": None, "archived": False, "address": None},
            "tags": lambda n: {"id": f"g{n}", "name": f"Tag {n}", "archived": False},
        },
        {"/user": clockify_user, "/workspaces/w1/user/u1/time-entries": clockify_list("time_entries"),
         **{f"/workspaces/w1/{n}": clockify_list(n) for n in ("projects", "clients", "tags")}},
        header_is("X-Api-Key", SECRET),
        counts={"me": 1, "time_entries": 430},
        answers={"token": SECRET},
        bad=("time_entries", {"description": "no id", "timeInterval": {"start": at(3), "end": at(4)}}),
        change={"time_entries": put("description"), "projects": put("name"), "tags": put("name")},
        refusal=(401, {}, {"message": "Api key does not exist", "code": 4003}),
    )  # fmt: skip


# Vikunja


def todo(n: int) -> Record:
    never = "0001-01-01T00:00:00Z"
    return {"id": n, "title": f"Todo {n}", "description": "", "done": False, "done_at": never, "due_date": never,
            "reminders": None, "project_id": 1, "repeat_after": 0, "repeat_mode": 0, "priority": 0, "start_date": never,
            "end_date": never, "assignees": None, "labels": [{"id": 3, "title": "home"}], "hex_color": "", "percent_done": 0,
            "identifier": f"#{n}", "index": n, "related_tasks": {}, "attachments": None, "is_favorite": False,
            "created": at(n), "updated": at(n), "bucket_id": 0, "position": 0, "created_by": {"id": 1, "username": "ann"}}  # fmt: skip


def vikunja_list(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows, each = vendor.tables[name], min(number(asked, "per_page", 50), 50)
        here = page_of(asked, rows, "page", "per_page", 50, 50)
        return (
            200,
            {
                "x-pagination-total-pages": str(-(-len(rows) // each)),
                "x-pagination-result-count": str(len(here)),
            },
            here,
        )

    return route


def vikunja() -> Vendor:
    return Vendor(
        "vikunja",
        {"tasks": todo,
         "projects": lambda n: {"id": n, "title": f"Project {n}", "description": "", "identifier": "", "hex_color": "",
                                "is_archived": False, "parent_project_id": 0, "created": at(n), "updated": at(n), "position": n},
         "labels": lambda n: {"id": n, "title": f"Label {n}", "hex_color": "", "created": at(n), "updated": at(n)}},
        {f"/api/v1/{n}": vikunja_list(n) for n in ("tasks", "projects", "labels")},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"tasks": 120},
        answers={"token": SECRET},
        bad=("tasks", {"title": "no id"}),
        change={"tasks": put("title", updated=at), "labels": put("title", updated=at)},
        refusal=(401, {}, {"code": 11, "message": "missing, malformed, expired or otherwise invalid token provided"}),
    )  # fmt: skip


# Nightscout


def reading(n: int) -> Record:
    return {"_id": f"{n:024x}", "device": "x", "date": epoch(n) * 1000, "dateString": at(n), "sgv": 100 + n % 50, "delta": 1.5,
            "direction": "Flat", "type": "sgv", "filtered": 0, "unfiltered": 0, "rssi": 100, "noise": 1, "sysTime": at(n),
            "utcOffset": 0, "mills": epoch(n) * 1000}  # fmt: skip


def treatment(n: int) -> Record:
    return {"_id": f"{n + 5000:024x}", "eventType": "Meal Bolus", "created_at": at(n), "insulin": 2.5, "carbs": 30, "notes": f"n{n}",
            "enteredBy": "ann", "utcOffset": 0}  # fmt: skip


def device(n: int) -> Record:
    return {
        "_id": f"{n + 9000:024x}",
        "device": "openaps://x",
        "created_at": at(n),
        "pump": {"reservoir": 50.5},
        "utcOffset": 0,
    }


def profile(n: int) -> Record:
    return {
        "_id": f"{n + 7000:024x}",
        "defaultProfile": f"P{n}",
        "store": {"P": {"dia": "3"}},
        "startDate": at(n),
        "created_at": at(n),
    }


def found_in(name: str, field: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        bounds = {k[-4:-1]: v for k, v in asked.query.items() if k.startswith(f"find[{field}]")}

        def as_there(value: str) -> Any:
            return int(value) if field == "date" else time_of(value)

        def of(record: Record) -> Any:
            return record[field] if field == "date" else time_of(record[field])

        rows = vendor.tables[name]
        if not bounds:  # without a bound: the last four days
            rows = [r for r in rows if of(r) > as_there(str(epoch(0) * 1000) if field == "date" else at(0))]
        rows = [r for r in rows if "gte" not in bounds or of(r) >= as_there(bounds["gte"])]
        rows = [r for r in rows if "lte" not in bounds or of(r) <= as_there(bounds["lte"])]
        return sorted(rows, key=of, reverse=True)[: number(asked, "count", 10)]

    return route


def nightscout() -> Vendor:
    return Vendor(
        "nightscout",
        {"entries": reading, "treatments": treatment, "devicestatus": device, "profiles": profile},
        {"/api/v1/entries.json": found_in("entries", "date"), "/api/v1/treatments.json": found_in("treatments", "created_at"),
         "/api/v1/devicestatus.json": found_in("devicestatus", "created_at"), "/api/v1/profile.json": table("profiles")},
        lambda asked: asked.query.get("token") == SECRET,
        counts={"entries": 600},
        answers={"token": SECRET},
        grow=("entries", "devicestatus"),
        bad=("treatments", {"notes": "no id", "created_at": at(3)}),
        change={"treatments": put("notes"), "profiles": put("defaultProfile")},
        refusal=(401, {}, {"status": 401, "message": "Unauthorized", "description": "Invalid/Missing"}),
    )  # fmt: skip


# Paperless-ngx


def document(n: int) -> Record:
    return {"id": n, "correspondent": 1, "document_type": None, "storage_path": None, "title": f"Doc {n}", "content": "Dear Ann",
            "tags": [1, 2], "created": moment(n).date().isoformat(), "created_date": moment(n).date().isoformat(),
            "modified": at(n), "added": at(n), "deleted_at": None, "archive_serial_number": None, "owner": 3, "notes": [],
            "original_file_name": f"scan{n}.pdf", "archived_file_name": None, "custom_fields": [{"field": 1, "value": "x"}],
            "page_count": 2, "mime_type": "application/pdf", "user_can_change": True}  # fmt: skip


def label(n: int) -> Record:
    return {"id": n, "slug": f"l{n}", "name": f"Label {n}", "match": "", "matching_algorithm": 1, "is_insensitive": True,
            "document_count": n, "owner": 3, "user_can_change": True}  # fmt: skip


def documents(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows = vendor.tables["documents"]
    if "modified__gte" in asked.query:
        rows = [r for r in rows if time_of(r["modified"]) >= time_of(asked.query["modified__gte"])]
    return {**django(vendor, asked, rows, 100_000), "all": [r.get("id") for r in rows]}


def paperless_ngx() -> Vendor:
    def may(asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Token {SECRET}"

    lists = ("tags", "correspondents", "document_types", "storage_paths")

    def listed(name: str) -> Any:
        return lambda v, a, f: django(v, a, v.tables[name], 100_000)

    return Vendor(
        "paperless_ngx",
        {"documents": document, **dict.fromkeys(lists, label)},
        {"/api/documents/": documents, **{f"/api/{n}/": listed(n) for n in lists}},
        may,
        counts={"documents": 230, "tags": 101},
        answers={"token": SECRET},
        bad=("documents", {"title": "no id", "modified": at(3)}),
        change={"documents": put("title", modified=at), "tags": put("name")},
        refusal=(401, {}, {"detail": "Invalid token."}),
    )


# Nextcloud


def happened(n: int) -> Record:
    return {"activity_id": n, "app": "files", "type": "file_changed", "user": "ann", "subject": f"You changed f{n}",
            "subject_rich": [], "message": "", "message_rich": [], "object_type": "files", "object_id": n, "object_name": f"/f{n}",
            "objects": {str(n): f"/f{n}"}, "link": "", "icon": "", "datetime": at(n), "previews": []}  # fmt: skip


def activity(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if asked.headers.get("ocs-apirequest") != "true" or asked.query.get("format") != "json":
        return 412, {}, b"CSRF check failed"
    if asked.query.get("sort", "desc") != "asc":
        return 400, {}, {}
    rows = [r for r in vendor.tables["activity"] if r.get("activity_id", 3) > number(asked, "since", 0)]
    here = rows[: number(asked, "limit", 50)]
    if not here:
        return 304, {"Content-Length": "0"}, b""
    about = {"ocs": {"meta": {"status": "ok", "statuscode": 200, "message": "OK"}, "data": here}}
    return 200, {"X-Activity-Last-Given": str(here[-1]["activity_id"])}, about


def nextcloud() -> Vendor:
    key = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    return Vendor(
        "nextcloud",
        {"activity": happened,
         "notes": lambda n: {"id": n, "etag": f"e{n}", "readonly": False, "modified": epoch(n), "title": f"Note {n}",
                             "category": "", "content": "Hi", "favorite": False}},
        {"/ocs/v2.php/apps/activity/api/v2/activity": activity, "/index.php/apps/notes/api/v1/notes": table("notes")},
        header_is("Authorization", f"Basic {key}"),
        counts={"activity": 230},
        answers={"user": "ann", "password": SECRET},
        grow=("activity",),
        bad=("activity", {"type": "no id"}),
        change={"notes": put("content")},
        refusal=(401, {}, {"ocs": {"meta": {"status": "failure", "statuscode": 997, "message": "Current user is not logged in"}}}),
    )  # fmt: skip


VENDORS = (todoist, toggl, clockify, vikunja, nightscout, paperless_ngx, nextcloud)
