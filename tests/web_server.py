"""The web pages on a real port, with data in them, and a browser of requests that is signed in."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from conftest import World
from dataplatform.web.server import Serving, prepare

NAME, PASSWORD = "anna", "correct horse battery"
HTML = "<img src=x onerror=alert(1)>"
YAML = """
source: s
description: "A source with <b>HTML</b> in its description"
connector: {type: files, path: "{data}"}
triggers: [{type: interval, every: 1h}]
entities:
  people:
    file: people.csv
    key: [id]
    columns:
      age: {type: integer, description: "In years <i>"}
      note: {scd: 1}
"""
GOLD = """/*
description: People by age
*/
select age, count(*) as people from silver_current.s__people group by age
"""
PEOPLE = f"""id,name,age,note
1,Ada,36,=HYPERLINK("x")
2,"{HTML}",41,+1
3,Robert'); drop table silver.s__people;--,12,@sum
4,Zoë,-5,-cmd
5,Bad,old,fine
6,Last,77,
"""


@dataclass
class Browser:
    """A person with a browser: cookies, and the token of the last page for what they send."""

    client: httpx.Client
    csrf: str = ""

    def get(self, path: str, **more: Any) -> httpx.Response:
        answer = self.client.get(path, **more)
        if found := re.search(r'X-CSRF-Token": "([0-9a-f]+)"', answer.text):
            self.csrf = found[1]
        return answer

    def post(self, path: str, data: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **(data or {})}, **more)

    def sign_in(self, name: str = NAME, password: str = PASSWORD) -> Browser:
        answer = self.client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        self.get("/settings")
        return self


@dataclass
class Web:
    """The pages of a world."""

    world: World
    serving: Serving
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.serving.address.url

    def client(self, **headers: str) -> httpx.Client:
        one = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)
        self.clients.append(one)
        return one

    def browser(self) -> Browser:
        return Browser(self.client())

    def token(self, scope: str) -> str:
        """A new API token."""
        from dataplatform.access import doors

        return doors.make_token(self.world.platform.engine, "for a test", scope, NAME, 1)

    def api(self, scope: str) -> httpx.Client:
        return self.client(Authorization=f"Bearer {self.token(scope)}")


@contextmanager
def served(world: World, first_user: bool = True) -> Iterator[Web]:
    """The pages for the block."""
    serving = prepare(world.platform, "127.0.0.1", 0)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    web = Web(world, serving)
    try:
        if first_user:
            token = serving.address.setup.partition("token=")[2]
            form = {"token": token, "name": NAME, "password": PASSWORD, "again": PASSWORD}
            answer = web.client().post("/setup", data=form)
            assert answer.status_code == 303, answer.text
        yield web
    finally:
        for client in web.clients:
            client.close()
        serving.stop()
        thread.join(10)
        serving.listening.close()


def load(world: World) -> None:
    """Two batches with a change between them, a record in quarantine, and gold."""
    from dataplatform.pipeline import refresh_gold

    world.write("people.csv", PEOPLE)
    world.run("s")
    world.write("people.csv", PEOPLE.replace("1,Ada,36", "1,Ada,37"))
    world.run("s")
    refresh_gold(world.platform)
