"""Home Assistant, Open-Meteo, Dawarich, Mealie, Grocy."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from rest_api import Asked

from vendors.base import (
    BEGIN,
    NOW,
    SECRET,
    Record,
    Vendor,
    at,
    epoch,
    header_is,
    moment,
    number,
    page_of,
    put,
    time_of,
)

# Home Assistant


def state(n: int) -> Record:
    return {
        "entity_id": f"sensor.s{n}", "state": str(20 + n), "last_changed": at(n), "last_reported": at(n),
        "last_updated": at(n), "attributes": {"unit_of_measurement": "°C", "friendly_name": f"S{n}"},
        "context": {"id": f"01H{n}", "parent_id": None, "user_id": None},
    }  # fmt: skip


def change(n: int) -> Record:
    return {"entity_id": "sensor.a" if n % 2 else "sensor.b", "state": str(n), "attributes": {}, "last_changed": at(n - n % 3),
            "last_updated": at(n)}  # fmt: skip


def entry(n: int) -> Record:
    return {
        "when": at(n),
        "name": f"Door {n}",
        "state": "on",
        "entity_id": f"binary_sensor.d{n}",
        "context_user_id": "u1",
    }


def between(records: list[Record], field: str, first: datetime, last: datetime) -> list[Record]:
    return [r for r in records if first <= time_of(r[field]) <= last]


def history(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if "filter_entity_id" not in asked.query:
        return 400, {}, {"message": "filter_entity_id is missing"}
    first = time_of(found[1].replace("%3A", ":").replace("%2B", "+"))
    last = time_of(asked.query["end_time"]) if "end_time" in asked.query else first + timedelta(days=1)
    wanted = asked.query["filter_entity_id"].split(",")
    here = between(vendor.tables["history"], "last_updated", first, last)
    if asked.query.get("significant_changes_only") != "0":
        here = [r for r in here if r["last_changed"] == r["last_updated"]]
    if "skip_initial_state" not in asked.query:  # the state at the start, dated so
        here = [{**change(n), "last_updated": first.isoformat()} for n in (1, 2)] + here
    return [mine for one in wanted if (mine := [r for r in here if r.get("entity_id") == one])]


def logbook(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    first = time_of(found[1].replace("%3A", ":"))
    last = time_of(asked.query["end_time"]) if "end_time" in asked.query else first + timedelta(days=1)
    return between(vendor.tables["logbook"], "when", first, last)


def home_assistant() -> Vendor:
    return Vendor(
        "home_assistant",
        {"states": state, "history": change, "logbook": entry},
        {"/api/states": lambda v, a, f: v.tables["states"], "/api/history/period/(.+)": history, "/api/logbook/(.+)": logbook},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"history": 150},
        answers={"token": SECRET, "sensors": "sensor.a,sensor.b"},
        bad=("states", {"state": "no id", "last_updated": at(1)}),
        change={"states": put("state", last_updated=at, last_changed=at)},
        grow=("history", "logbook"),
        refusal=(401, {"Content-Type": "text/plain"}, b"401: Unauthorized"),
    )  # fmt: skip


# Open-Meteo

HOURLY = ("temperature_2m", "relative_humidity_2m", "precipitation", "wind_speed_10m", "wind_direction_10m",
          "cloud_cover", "surface_pressure")  # fmt: skip
DAILY = (
    "temperature_2m_max",
    "temperature_2m_min",
    "precipitation_sum",
    "wind_speed_10m_max",
    "sunrise",
    "sunset",
)


def hour(n: int) -> Record:
    when = BEGIN.replace(hour=0) + timedelta(hours=n - 1)
    return {"time": when.strftime("%Y-%m-%dT%H:%M"), **dict.fromkeys(HOURLY, n / 4)}


def day(n: int) -> Record:
    when = (BEGIN - timedelta(days=1)).date() + timedelta(days=n - 1)
    rise = f"{when.isoformat()}T07:{n % 60:02}"
    return {"time": when.isoformat(), **dict.fromkeys(DAILY[:4], n / 4), "sunrise": rise, "sunset": rise}


def archive(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    kind = "hourly" if "hourly" in asked.query else "daily"
    if not {"latitude", "longitude", "start_date", "end_date"} <= set(asked.query):
        return 400, {}, {"error": True, "reason": "Parameter 'start_date' is missing"}
    first, last = date.fromisoformat(asked.query["start_date"]), date.fromisoformat(asked.query["end_date"])
    if last < first:
        return 400, {}, {"error": True, "reason": "End-date must be larger or equals than start-date"}
    here = [r for r in vendor.tables[kind] if first.isoformat() <= r["time"][:10] <= last.isoformat()]
    names = ("time", *asked.query[kind].split(","))
    return {
        "latitude": 52.36, "longitude": 4.9, "generationtime_ms": 0.1, "utc_offset_seconds": 0, "timezone": "GMT",
        "elevation": 7.0, f"{kind}_units": dict.fromkeys(names, "x"), kind: {n: [r[n] for r in here] for n in names},
    }  # fmt: skip


def open_meteo() -> Vendor:
    return Vendor(
        "open_meteo",
        {"hourly": hour, "daily": day},
        {"/archive": archive},
        lambda asked: True,  # it knows no user
        counts={"hourly": 40, "daily": 3},
        answers={"latitude": "52.37", "longitude": "4.89"},
        grow=("hourly",),
        refusal=(400, {}, {"error": True, "reason": "Invalid"}),
        busy=(429, {"Retry-After": "0"}, {"error": True, "reason": "Minutely API request limit exceeded."}),
    )


# Dawarich


def point(n: int) -> Record:
    return {
        "id": n, "battery_status": "unplugged", "ping": None, "battery": 80, "tracker_id": "p", "topic": None,
        "altitude": 10, "velocity": "0", "timestamp": epoch(n), "geodata": {}, "reverse_geocoded_at": None,
        "city": None, "country": None, "latitude": f"52.{n:04}", "longitude": "4.9", "country_name": None,
    }  # fmt: skip


def visit(n: int) -> Record:
    return {"id": n, "area_id": None, "user_id": 1, "started_at": at(n), "ended_at": at(n + 20), "duration": 20,
            "name": f"Place {n}", "status": "confirmed", "place": {"latitude": 52.1, "longitude": 4.9, "id": n}}  # fmt: skip


def points(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    first = time_of(asked.query["start_at"]).timestamp() if "start_at" in asked.query else 0
    last = time_of(asked.query["end_at"]).timestamp() if "end_at" in asked.query else NOW.timestamp() * 2
    here = [p for p in vendor.tables["points"] if first <= p["timestamp"] <= last]
    here.sort(key=lambda p: p["timestamp"], reverse=asked.query.get("order", "desc") == "desc")
    each = number(asked, "per_page", 100)
    more = {"X-Current-Page": asked.query.get("page", "1"), "X-Total-Pages": str(-(-len(here) // each))}
    return 200, more, page_of(asked, here, "page", "per_page", 10_000, 100)


def visits(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    here = between(
        vendor.tables["visits"],
        "started_at",
        time_of(asked.query["start_at"]),
        time_of(asked.query["end_at"]),
    )
    return page_of(asked, here, "page", "per_page", 500, 100) if "page" in asked.query else here


def dawarich() -> Vendor:
    return Vendor(
        "dawarich",
        {"points": point, "visits": visit,
         "areas": lambda n: {"id": n, "name": f"Area {n}", "latitude": "52.1", "longitude": "4.9", "radius": 100}},
        {"/api/v1/points": points, "/api/v1/visits": visits, "/api/v1/areas": lambda v, a, f: v.tables["areas"]},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"points": 1100, "visits": 7},
        answers={"token": SECRET},
        bad=("areas", {"name": "no id"}),
        change={"visits": put("name"), "areas": put("name"), "points": put("city")},
        refusal=(401, {}, {"error": "Unauthorized"}),
    )  # fmt: skip


# Mealie


def recipe(n: int) -> Record:
    return {
        "id": f"00000000-0000-0000-0000-{n:012}", "userId": "u", "householdId": "h", "groupId": "g", "name": f"Soup {n}",
        "slug": f"soup-{n}", "image": None, "recipeYield": "4", "totalTime": "1 hour", "prepTime": None, "cookTime": None,
        "performTime": None, "description": "", "recipeCategory": [], "tags": [{"id": "t1", "name": "warm", "slug": "warm"}],
        "tools": [], "rating": 4.5, "orgURL": None, "dateAdded": "2026-01-02", "dateUpdated": at(n)[:-1],
        "createdAt": at(n)[:-1], "updatedAt": at(n)[:-1], "lastMade": None,
    }  # fmt: skip


def whole(n: int) -> Record:
    ingredient = {"quantity": 2.0, "unit": None, "food": None, "note": "leek", "isFood": False, "disableAmount": True,
                  "display": "2 leek", "title": None, "originalText": None, "referenceId": f"i{n}"}  # fmt: skip
    step = {"id": f"s{n}", "title": "", "summary": "", "text": "Boil.", "ingredientReferences": []}
    return {**recipe(n), "recipeIngredient": [ingredient], "recipeInstructions": [step], "nutrition": {"calories": "90"},
            "settings": {"public": True}, "assets": [], "notes": [], "extras": {}, "comments": []}  # fmt: skip


def plan(n: int) -> Record:
    return {"date": moment(n * 30).date().isoformat(), "entryType": "dinner", "title": f"Dinner {n}", "text": "",
            "recipeId": None, "id": n, "groupId": "g", "userId": "u", "householdId": "h", "recipe": None}  # fmt: skip


def item(n: int) -> Record:
    return {"quantity": 1.0, "unit": None, "food": None, "note": f"Thing {n}", "id": f"it{n}", "shoppingListId": "l",
            "checked": False, "position": n, "foodId": None, "labelId": None, "unitId": None, "extras": {},
            "groupId": "g", "householdId": "h", "label": None, "recipeReferences": [], "createdAt": at(n), "updatedAt": at(n)}  # fmt: skip


def pagination(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows, each, page = vendor.tables[name], number(asked, "perPage", 50), number(asked, "page", 1)
        pages = -(-len(rows) // each)
        items = rows[(page - 1) * each : page * each]
        following = f"/{name}?page={page + 1}&perPage={each}" if page < pages else None
        return {"page": page, "per_page": each, "total": len(rows), "total_pages": pages, "items": items,
                "next": following, "previous": None}  # fmt: skip

    return route


def detail(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    for one in vendor.tables["recipe_details"]:
        if one["slug"] == found[1]:
            return one
    return 404, {}, {"detail": {"message": "Recipe not found", "error": True}}


def mealie() -> Vendor:
    def both(record: Record, n: int) -> None:
        record["name"] = f"Broth {n}"

    return Vendor(
        "mealie",
        {"recipes": recipe, "recipe_details": whole, "mealplans": plan, "shopping_items": item},
        {"/api/recipes": pagination("recipes"), "/api/recipes/(.+)": detail,
         "/api/households/mealplans": pagination("mealplans"),
         "/api/households/shopping/items": pagination("shopping_items")},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"mealplans": 130},
        answers={"token": SECRET},
        bad=("mealplans", {"title": "no id"}),
        change={"recipes": both, "recipe_details": both, "mealplans": put("title"), "shopping_items": put("note")},
        refusal=(401, {"WWW-Authenticate": "Bearer"}, {"detail": "Could not validate credentials"}),
    )  # fmt: skip


# Grocy

STAMP = "2026-01-02 03:04:05"


def thing(name: str) -> Any:
    return lambda n: {"id": n, "name": f"{name} {n}", "description": None, "row_created_timestamp": STAMP,
                      "userfields": None}  # fmt: skip


def stocked(n: int) -> Record:
    return {"id": n, "product_id": n % 5 + 1, "amount": n / 2, "best_before_date": "2027-01-01",
            "purchased_date": "2026-01-01", "stock_id": f"s{n}", "price": 1.25, "open": 0, "note": None,
            "row_created_timestamp": STAMP}  # fmt: skip


def log(n: int) -> Record:
    return {
        **stocked(n),
        "used_date": None,
        "spoiled": 0,
        "transaction_type": "purchase",
        "transaction_id": f"t{n}",
    }


def objects(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if found[1] not in vendor.tables:
        return 400, {}, {"error_message": "Entity does not exist or is not exposed"}
    rows = sorted(vendor.tables[found[1]], key=lambda r: r.get("id", 0))
    first = number(asked, "offset", 0)
    return rows[first : first + number(asked, "limit", 10**9)]


def grocy() -> Vendor:
    names = ("locations", "quantity_units", "chores", "products")
    return Vendor(
        "grocy",
        {
            **{name: thing(name) for name in names},
            "stock": stocked,
            "stock_log": log,
            "shopping_list": lambda n: {"id": n, "product_id": n, "note": None, "amount": 2, "row_created_timestamp": STAMP,
                                        "shopping_list_id": 1, "done": 0},
            "chores_log": lambda n: {"id": n, "chore_id": 1, "tracked_time": STAMP, "done_by_user_id": 1, "undone": 0,
                                     "undone_timestamp": None, "skipped": 0, "scheduled_execution_time": None,
                                     "row_created_timestamp": STAMP},
        },
        {"/api/objects/(.+)": objects},
        header_is("GROCY-API-KEY", SECRET),
        counts={"stock_log": 620},
        answers={"token": SECRET},
        bad=("products", {"name": "no id"}),
        change={"products": put("name"), "stock": put("amount", 99.5), "shopping_list": put("note")},
        refusal=(401, {}, {"error_message": "Unauthorized"}),
    )  # fmt: skip


VENDORS = (home_assistant, open_meteo, dawarich, mealie, grocy)
