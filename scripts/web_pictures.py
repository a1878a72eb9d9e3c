"""Pictures of the web pages for docs/web/: light, dark and on a phone, of a small world that is made for it.

usage: scripts/web_pictures.py [FOLDER]      (default: docs/web; needs /usr/bin/chromium and playwright)
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from dataplatform.access import users
from dataplatform.bootstrap import open_platform
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold
from dataplatform.runs import Order, run
from dataplatform.settings import Settings
from dataplatform.web.server import prepare
from playwright.sync_api import Browser, Page, sync_playwright

NAME, PASSWORD = "anna", "a word for the pictures"
SIZES = {"light": (1120, 700), "dark": (1120, 700), "phone": (390, 760)}
PICTURES = {
    "health": "/", "source": "/sources/money", "way": "/way", "table": "/tables/silver/money__transactions",
    "record": "/tables/silver/money__transactions/records/9", "plan": "/auto-dw/plan", "sql": "/sql",
    "quarantine": "/quarantine?source=money&entity=transactions", "add": "/sources/add",
    "gallery": "/sources/add/gallery", "form": "/sources/add/form?kind=rest",
}  # fmt: skip
WANTED = {
    "light": ("health", "source", "way", "record", "plan", "sql", "gallery"),
    "dark": ("health", "table", "quarantine"), "phone": ("health", "source", "form", "add"),
}  # fmt: skip
SOURCES = {
    "money": """source: money
description: What the bank sends, as CSV
connector: {type: files, path: DATA/money}
triggers:
  - {type: interval, every: 1h}
entities:
  transactions:
    description: One booking
    file: "*.csv"
    key: [id]
    columns:
      amount: {type: "numeric(12,2)", description: "In euro; negative is spent"}
      note: {scd: 1}
""",
    "shop": """source: shop
description: The shop's export
connector: {type: files, path: DATA/shop}
entities:
  customers: {file: customers.csv, key: [customer_id]}
  orders: {file: orders.csv, key: [order_id]}
  products: {file: products.csv, key: [product_id]}
""",
    "weather": """source: weather
description: Hourly weather
connector: {type: rest, base_url: "http://127.0.0.1:9", auth: {type: bearer, token: {secret: weather/token}}}
triggers: [{type: cron, cron: "15 * * * *", timezone: Europe/Amsterdam}]
entities:
  hourly: {request: {path: /hourly}, key: [id]}
""",
}
GOLD = {
    "spending": "/*\ndescription: Spending by month and category\n*/\nselect date_trunc('month', booked_at) as month, "
    "category, sum(amount) as spent\nfrom silver_current.money__transactions group by 1, 2\n",
    "revenue_by_city": "/*\ndescription: What was sold, by city\n*/\nselect c.city, sum(o.amount) as revenue\n"
    "from silver_current.shop__orders o join silver_current.shop__customers c using (customer_id) group by 1\n",
    "best_city": "/*\ndescription: The city that brings most\nmaterialized: view\n*/\n"
    "select * from gold.revenue_by_city order by revenue desc limit 1\n",
}
QUERY = "select month, sum(spent) as spent from gold.spending group by month order by month"


def write_metadata(folder: Path) -> None:
    for kind in ("sources", "gold"):
        (folder / "metadata" / kind).mkdir(parents=True)
    for name, text in SOURCES.items():
        (folder / "metadata" / "sources" / f"{name}.yaml").write_text(
            text.replace("DATA", str(folder / "data"))
        )
    for name, text in GOLD.items():
        (folder / "metadata" / "gold" / f"{name}.sql").write_text(text)


def write_data(folder: Path, day: int) -> None:
    """What the sources hold on a day; some of it changes from one to the next."""
    draw = random.Random(7)
    bookings = [
        (n, date(2026, 1, 1) + timedelta(n // 3), round(draw.uniform(-200, 300), 2) if n % 170 else "oops",
         ["food", "rent", "travel", "books"][(n + (day if n % 9 == 0 else 0)) % 4], f"note {n}")
        for n in range(1, 800 + 40 * day)
    ]  # fmt: skip
    people = [
        (n, f"Person {n}", f"p{n}@example.org", ["Utrecht", "Gent", "Köln", "Graz"][n % 4])
        for n in range(1, 120)
    ]
    orders = [
        (
            n,
            n % 119 + 1,
            datetime(2026, 1, 1) + timedelta(hours=3 * n),
            round(draw.uniform(5, 400), 2),
            n % 40 + 1,
        )
        for n in range(1, 1500 + 20 * day)
    ]
    products = [(n, f"Product {n}", round(draw.uniform(2, 90), 2)) for n in range(1, 41)]
    _csv(folder / "data/money/t.csv", "id,booked_at,amount,category,note", bookings)
    _csv(folder / "data/shop/customers.csv", "customer_id,name,email,city", people)
    _csv(folder / "data/shop/orders.csv", "order_id,customer_id,ordered_at,amount,product_id", orders)
    _csv(folder / "data/shop/products.csv", "product_id,title,price", products)


def _csv(path: Path, head: str, rows: list[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n")


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("[name=name]", NAME)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("header.top")


def take(browser: Browser, url: str, out: Path) -> None:
    for kind, names in WANTED.items():
        wide, high = SIZES[kind]
        scheme = "dark" if kind == "dark" else "light"
        context = browser.new_context(
            viewport={"width": wide, "height": high}, color_scheme=scheme, base_url=url
        )
        page = context.new_page()
        sign_in(page)
        for name in names:
            page.goto(PICTURES[name])
            if name == "sql":
                page.fill("#q", QUERY)
                page.click("#ask button")
            page.wait_for_timeout(400)
            page.screenshot(path=out / f"{name}-{kind}.png")
        context.close()


def evaluate(browser: Browser, url: str) -> None:
    context = browser.new_context(base_url=url)
    page = context.new_page()
    sign_in(page)
    page.goto("/auto-dw")
    page.click("main button:has-text('Evaluate')")
    page.wait_for_selector("text=See what came of it", timeout=120_000)
    context.close()


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dp-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        write_metadata(folder)
        settings = Settings(home=folder / "home", metadata_path=folder / "metadata", linger=0)
        with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
            for day in range(4):
                write_data(folder, day)
                for source in SOURCES:
                    run(platform, Order(source))
            refresh_gold(platform)
            users.add(platform.engine, NAME, PASSWORD, "admin")
            serving = prepare(platform, "127.0.0.1", 0)
            thread = threading.Thread(target=serving.run, daemon=True)
            thread.start()
            with sync_playwright() as found:
                browser = found.chromium.launch(
                    executable_path="/usr/bin/chromium", args=["--headless", "--no-sandbox"]
                )
                evaluate(browser, serving.address.url)
                take(browser, serving.address.url, out)
                browser.close()
            serving.stop()
            thread.join(10)
    subprocess.run(["sh", "-c", f"du -ch {out}/*.png | tail -1"], check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "web")
