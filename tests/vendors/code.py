"""GitHub, Gitea."""

from __future__ import annotations

import re
from typing import Any

from rest_api import Asked

from vendors.base import SECRET, Record, Vendor, at, header_is, linked, put, time_of


def user(n: int) -> Record:
    return {"id": n, "login": f"user{n}", "type": "User", "site_admin": False, "email": f"u{n}@example.org"}


def repo(n: int) -> Record:
    return {
        "id": n, "name": f"r{n}", "full_name": f"user1/r{n}", "private": n % 2 == 0, "owner": user(1), "size": n * 10,
        "description": None, "fork": False, "stargazers_count": n, "stars_count": n, "forks_count": 0,
        "watchers_count": 1, "open_issues_count": 2, "language": "Python", "default_branch": "main",
        "topics": ["data", "home"], "created_at": at(n), "updated_at": at(n), "pushed_at": at(n),
    }  # fmt: skip


def issue(n: int) -> Record:
    return {
        "id": 1000 + n, "number": n, "title": f"Issue {n}", "body": "It *fails*", "state": "open", "comments": 0,
        "user": user(n % 3), "labels": [{"id": 5, "name": "bug", "color": "f00"}] if n % 2 else [],
        "assignees": [user(1)], "milestone": None, "created_at": at(1), "updated_at": at(n), "closed_at": None,
    }  # fmt: skip


def commit(n: int) -> Record:
    who = {"name": "Ann", "email": "ann@example.org", "date": at(n)}
    return {
        "sha": f"{n:040x}", "node_id": f"C_{n}", "url": f"https://example.org/{n}", "author": user(1), "committer": None,
        "commit": {"message": f"Step {n}", "author": who, "committer": who, "comment_count": 0},
        "parents": [{"sha": f"{n - 1:040x}", "url": "https://example.org"}] if n > 1 else [],
    }  # fmt: skip


def gist(n: int) -> Record:
    files = {f"note{n}.md": {"filename": f"note{n}.md", "language": "Markdown", "size": 12}}
    return {"id": f"g{n}", "description": f"Gist {n}", "public": False, "files": files, "comments": 0,
            "created_at": at(n), "updated_at": at(n)}  # fmt: skip


def since(asked: Asked, records: list[Record], field: str = "updated_at") -> list[Record]:
    bound = asked.query.get("since")
    return [r for r in records if not bound or time_of(r[field]) >= time_of(bound)]


def commits(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if found[1] == "r2":
        return 409, {}, {"message": "Git Repository is empty."}
    if found[1] not in [r["name"] for r in vendor.tables["repos"] if "name" in r]:
        return 404, {}, {"message": "Not Found"}
    mine = vendor.tables["commits"] if found[1] == "r1" else []
    bound = asked.query.get("since")
    new = [c for c in mine if not bound or time_of(c["commit"]["committer"]["date"]) >= time_of(bound)]
    return linked(vendor, asked, new, "per_page", 100)


def starred(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if asked.headers["accept"] != "application/vnd.github.star+json":
        return linked(vendor, asked, [s["repo"] for s in vendor.tables["starred"]], "per_page", 100)
    return linked(vendor, asked, vendor.tables["starred"], "per_page", 100)


def github() -> Vendor:
    def may(asked: Asked) -> bool:
        return (
            asked.headers.get("authorization") == f"Bearer {SECRET}"
            and "x-github-api-version" in asked.headers
        )

    return Vendor(
        "github",
        {"repos": repo, "issues": issue, "commits": commit, "gists": gist,
         "starred": lambda n: {"starred_at": at(n), "repo": repo(n + 500)}},
        {
            "/user/repos": lambda v, a, f: linked(v, a, v.tables["repos"], "per_page", 100),
            "/issues": lambda v, a, f: linked(v, a, since(a, v.tables["issues"]), "per_page", 100),
            "/gists": lambda v, a, f: linked(v, a, since(a, v.tables["gists"]), "per_page", 100),
            "/user/starred": starred,
            "/repos/user1/(r[0-9]+)/commits": commits,
        },
        may,
        counts={"repos": 5, "issues": 230, "commits": 103},
        answers={"token": SECRET},
        bad=("issues", {"title": "no id", "updated_at": at(2)}),
        grow=("commits",),
        change={"issues": put("title", updated_at=at), "gists": put("description", updated_at=at),
                "starred": put("repo.language", "Rust")},
        busy=(403, {"X-RateLimit-Remaining": "0", "Retry-After": "0"}, {"message": "API rate limit exceeded"}),
    )  # fmt: skip


def gitea() -> Vendor:
    def page(name: str) -> Any:
        def route(v: Vendor, asked: Asked, found: re.Match[str]) -> Any:
            rows = since(asked, v.tables[name]) if name == "issues" else v.tables[name]
            code, link, here = linked(v, asked, rows, "limit", 50)
            return code, {**(link if name != "starred" else {}), "X-Total-Count": str(len(rows))}, here

        return route

    return Vendor(
        "gitea",
        {"repos": repo, "issues": issue, "starred": lambda n: repo(n + 500)},
        {"/api/v1/user/repos": page("repos"), "/api/v1/repos/issues/search": page("issues"),
         "/api/v1/user/starred": page("starred")},
        header_is("Authorization", f"token {SECRET}"),
        counts={"repos": 53, "issues": 120, "starred": 60},
        answers={"token": SECRET},
        bad=("issues", {"title": "no id", "updated_at": at(2)}),
        change={"repos": put("description"), "issues": put("title", updated_at=at), "starred": put("language", "Go")},
        refusal=(401, {}, {"message": "user does not exist [uid: 0, name: ]", "url": "/api/swagger"}),
    )  # fmt: skip


VENDORS = (github, gitea)
