"""Actions: what is told and done by itself; real HTTP on loopback, apprise's own `json://`, conditions on real tables."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World, execute, serving
from dataplatform.bootstrap import reread
from dataplatform.triggers import steps
from dataplatform.triggers.actions import act
from dataplatform.triggers.status import StepRow, action_status
from test_purge import environment, program

SECRET = "a-token-nobody-may-read"


@dataclass
class Inbox:
    """What came to a server on loopback, and how it answers."""

    address: str = ""
    came: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.came]


@contextmanager
def listening() -> Iterator[Inbox]:
    inbox, lock = Inbox(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                inbox.came.append((self.path, dict(self.headers), json.loads(body)))
                code = inbox.answers.pop(0) if inbox.answers else 200
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as address:
        inbox.address = address
        yield inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with listening() as found:
        yield found


@pytest.fixture
def world(make_world: MakeWorld, files: str, monkeypatch: pytest.MonkeyPatch, inbox: Inbox) -> World:
    monkeypatch.setenv("DATAPLATFORM_SECRET_NOTIFY_PHONE", f"json://{inbox.address}/{SECRET}")
    monkeypatch.setenv("DATAPLATFORM_SECRET_HOME_KEY", SECRET)
    world = make_world(
        s=files + "  a: {file: a.csv, key: [id]}\n  b: {file: b.csv, key: [id], max_quarantine: 1.0}\n"
    )
    world.write("a.csv", "id,v\n1,x\n")
    world.write("b.csv", "id,v\n1,x\n")
    return world


def with_actions(world: World, text: str) -> World:
    path = world.folder / "metadata" / "actions.yaml"
    path.write_text("channels: {phone: {url: {secret: notify/phone}}}\nactions:\n" + text)
    found = reread(world.platform)
    assert found.catalog.problems == ()
    return replace(world, platform=found)


def everything(world: World) -> list[StepRow]:
    return list(action_status(world.platform).steps)


def let_time_pass(world: World, what: str = "3 hours") -> None:
    execute(world, f"update audit.action_step set due_at = due_at - interval '{what}'")


def test_an_event_is_told_once_with_what_happened(world: World, inbox: Inbox) -> None:
    world = with_actions(
        world,
        f"""
  loaded:
    on: [entity.loaded]
    of: [s.a]
    do:
      - call: {{url: "http://{inbox.address}/hook", headers: {{X-Key: {{secret: home/key}}}}}}
      - notify: phone
        title: "{{source}}.{{entity}}"
        text: "{{inserted}} new, {{nothing}}"
""",
    )
    world.run()
    assert act(world.platform) == {"noted": 2, "done": 2}
    assert act(world.platform) == {"noted": 0, "done": 0}
    (path, headers, body), (_, _, message) = sorted(inbox.came, key=lambda c: c[0] != "/hook")
    assert path == "/hook"
    assert headers["X-Key"] == SECRET
    assert headers["Idempotency-Key"].startswith("event ")
    wanted = {
        "action": "loaded",
        "what": "entity.loaded",
        "subject": "s.a",
        "source": "s",
        "entity": "a",
        "inserted": 1,
    }
    assert {name: body[name] for name in wanted} == wanted
    assert (message["title"], message["message"]) == ("s.a", "1 new, {nothing}")
    dumped = json.dumps([row.__dict__ for row in everything(world)], default=str)
    assert SECRET not in dumped


def test_a_condition_is_told_once_while_it_holds_and_once_when_it_ends(world: World, inbox: Inbox) -> None:
    world = with_actions(world, "  broken: {when: {failing: ['*']}, do: [{notify: phone}]}\n")
    (world.folder / "data" / "a.csv").unlink()
    assert world.run().status == "failed"
    for _ in range(3):
        act(world.platform)
    assert world.run().status == "failed"
    act(world.platform)
    assert [m["message"].split(":")[0] for m in inbox.bodies()] == ["s"]
    assert "a.csv" in inbox.bodies()[0]["message"]
    assert [(h.action, h.subject) for h in action_status(world.platform).holding] == [("broken", "s")]
    world.write("a.csv", "id,v\n1,x\n")
    assert world.run().status == "done"
    act(world.platform)
    act(world.platform)
    assert len(inbox.came) == 2
    assert "is well again" in inbox.bodies()[1]["message"]
    assert action_status(world.platform).holding == ()


def test_conditions_of_data_quarantine_checks_and_queries(world: World, inbox: Inbox) -> None:
    world = with_actions(
        world,
        """
  silent: {when: {no_data: {entities: [s.a], for: 2d}}, do: [{notify: phone}]}
  aside: {when: {quarantine: {more_than: 1}}, do: [{notify: phone}]}
  query: {when: {sql: "select v, id from silver.s__b where v = 'bad'"}, do: [{notify: phone, text: "rows: {text}"}]}
""",
    )
    world.run()
    assert act(world.platform) == {"noted": 0, "done": 0}
    execute(world, "update audit.load set finished_at = finished_at - interval '3 days'")
    world.write("b.csv", "id,v\n1,bad\n,x\n,y\n")
    world.run("s", "b")
    act(world.platform)
    text = "\n".join(body["message"] for body in inbox.bodies())
    assert len(inbox.came) == 1  # three messages to one channel go as one
    assert inbox.bodies()[0]["title"] == "3 messages: silent, aside, query"
    assert "s.a: nothing new has come since" in text
    assert "s.b: 2 records wait in quarantine" in text
    assert "rows: v: bad, id: 1" in text


def test_a_token_that_ends_soon_is_told(world: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def token(days: int) -> str:
        claims = json.dumps({"exp": int(time.time()) + days * 86_400}).encode()
        return f"head.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"

    monkeypatch.setenv("DATAPLATFORM_SECRET_API_TOKEN", token(30))
    (world.folder / "metadata" / "sources" / "api.yaml").write_text(
        "source: api\nconnector: {type: rest, base_url: 'http://127.0.0.1:1', auth: {type: bearer, token: {secret: api/token}}}\n"
        "entities: {e: {request: {path: /}, key: [id]}}\n"
    )
    world = with_actions(world, "  ends: {when: {expiring: {within: 7d}}, do: [{notify: phone}]}\n")
    act(world.platform)
    assert inbox.came == []
    monkeypatch.setenv("DATAPLATFORM_SECRET_API_TOKEN", token(3))
    act(world.platform)
    act(world.platform)
    (body,) = inbox.bodies()
    assert body["message"].startswith("api: the token api/token ends on ")
    assert "dataplatform secrets set api/token" in body["message"]
    monkeypatch.setenv("DATAPLATFORM_SECRET_API_TOKEN", token(60))
    act(world.platform)
    assert "is well again" in inbox.bodies()[1]["message"]


def test_a_query_that_writes_or_is_wrong_keeps_the_others_going(
    world: World, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    world = with_actions(
        world,
        """
  drops: {when: {sql: "drop schema audit cascade"}, do: [{notify: phone}]}
  commits: {when: {sql: "commit; begin read write; delete from audit.run returning 1"}, do: [{notify: phone}]}
  wrong: {when: {sql: "select from nowhere"}, do: [{notify: phone}]}
  right: {when: {sql: "select 1 as one"}, do: [{notify: phone}]}
""",
    )
    world.run()
    runs = world.rows("select count(*) from audit.run")
    act(world.platform)
    assert [body["message"] for body in inbox.bodies()] == ["one: 1"]
    assert world.rows("select count(*) from audit.run") == runs
    assert "the action wrong: the query of a condition failed" in caplog.text


def test_a_step_that_fails_is_tried_again_later_and_given_up_where_it_will_not_pass(
    world: World, inbox: Inbox
) -> None:
    world = with_actions(
        world,
        f"""
  loaded: {{on: [entity.loaded], of: [s.a], do: [{{call: {{url: "http://{inbox.address}/hook"}}}}]}}
""",
    )
    inbox.answers = [503, 503, 200]
    world.run()
    act(world.platform)
    act(world.platform)  # not due yet
    assert len(inbox.came) == 1
    (row,) = everything(world)
    assert (row.attempts, row.done_at) == (1, None)
    assert "answered 503" in str(row.error)
    for _ in range(3):
        let_time_pass(world)
        act(world.platform)
    assert len(inbox.came) == 3
    assert len({headers["Idempotency-Key"] for _, headers, _ in inbox.came}) == 1
    inbox.answers = [404]
    world.write("a.csv", "id,v\n1,y\n")
    world.run()
    act(world.platform)
    row = everything(world)[0]
    assert row.done_at is not None
    assert "answered 404" in str(row.error)


def test_a_channel_that_is_wrong_or_away_says_so_without_its_address(
    world: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = with_actions(world, "  q: {when: {sql: 'select 1 as one'}, do: [{notify: phone}]}\n")
    inbox.answers = [500]
    act(world.platform)
    (row,) = everything(world)
    assert row.done_at is None
    assert "the channel phone did not take a message" in str(row.error)
    monkeypatch.setenv("DATAPLATFORM_SECRET_NOTIFY_PHONE", f"nothing-such://{SECRET}")
    let_time_pass(world)
    act(world.platform)
    (row,) = everything(world)
    assert row.done_at is not None
    assert "notify/phone" in str(row.error)
    assert SECRET not in str(row.error) + caplog.text


def test_quiet_hours_and_digests_hold_back_what_is_not_urgent(world: World, inbox: Inbox) -> None:
    path = world.folder / "metadata" / "actions.yaml"
    now = datetime.now(UTC)
    quiet = f'quiet: {{from: "{now - timedelta(hours=1):%H:%M}", to: "{now + timedelta(hours=2):%H:%M}"}}'
    path.write_text(
        f"channels: {{phone: {{url: {{secret: notify/phone}}, {quiet}}}}}\nactions:\n"
        "  one: {when: {sql: 'select 1 as a'}, do: [{notify: phone}]}\n"
        "  two: {when: {sql: 'select 2 as a'}, do: [{notify: phone}]}\n"
        "  now: {when: {sql: 'select 3 as a'}, urgent: true, do: [{notify: phone}]}\n"
    )
    world = replace(world, platform=reread(world.platform))
    assert world.platform.catalog.problems == ()
    act(world.platform)
    assert [body["message"] for body in inbox.bodies()] == ["a: 3"]
    let_time_pass(world)
    act(world.platform)
    assert len(inbox.came) == 2
    assert inbox.bodies()[1]["message"] == "one\n- a: 1\n\ntwo\n- a: 2"


def test_a_function_of_ones_own_is_called_and_its_failure_is_told_as_its_own(world: World) -> None:
    folder = world.platform.settings.connectors
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(
        f"from pathlib import Path\n\ndef told(happened):\n    Path({str(world.folder / 'said')!r}).write_text(happened['subject'])\n\n"
        "def wrong(happened):\n    raise KeyError('no such thing')\n"
    )
    world = with_actions(
        world, "  a: {on: [entity.loaded], of: [s.a], do: [{python: mine.told}, {python: mine.wrong}]}\n"
    )
    world.run()
    act(world.platform)
    assert (world.folder / "said").read_text() == "s.a"
    failed = next(row for row in everything(world) if row.error)
    assert "mine.py, line 7" in str(failed.error)


KILLED = """
import os, signal, sys
from dataplatform.bootstrap import open_platform
from dataplatform.triggers import actions, steps
where = sys.argv[1]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if where == "before noting":
    actions._note = die
if where == "before doing":
    actions.perform_due = die
if where == "after doing":
    before = steps._perform
    steps._perform = lambda *a: (before(*a), die())
with open_platform() as platform:
    actions.act(platform)
"""


@pytest.mark.parametrize("where", ["before noting", "before doing", "after doing"])
def test_killed_between_two_steps_nothing_is_left_undone(world: World, inbox: Inbox, where: str) -> None:
    world = with_actions(
        world,
        f"  a: {{on: [entity.loaded], of: [s.a], do: [{{call: {{url: 'http://{inbox.address}/'}}}}]}}\n",
    )
    world.run()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, where],
        env=environment(world),
        cwd=world.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    until = time.monotonic() + 20
    while (
        not everything(world) or everything(world)[0].done_at is None
    ):  # Postgres frees the killed one's lock in a moment
        assert time.monotonic() < until
        act(world.platform)
    act(world.platform)
    keys = [headers["Idempotency-Key"] for _, headers, _ in inbox.came]
    assert len(set(keys)) == 1
    assert len(keys) == (2 if where == "after doing" else 1)


def test_what_is_wrong_with_the_file_is_told_with_its_line(world: World) -> None:
    path = world.folder / "metadata" / "actions.yaml"
    path.write_text(
        "channels:\n  phone: {url: {secret: notify/phone}}\nactions:\n  a:\n    on: [entity.lost]\n    do: [{notify: phone}]\n"
        "  b:\n    when: {failing: ['*'], sql: select 1}\n    do: [{notify: phone, run: s}]\n"
    )
    said = program(world, "check", code=1)
    lines = {problem["line"]: problem["message"] for problem in said["problems"]}
    assert "entity.loaded" in lines[5]
    assert "exactly one of failing" in lines[8]
    assert "exactly one of notify" in lines[9]
    path.write_text("actions:\n  a: {on: [run.failed], do: [{notify: nowhere}]}\n")
    assert "there is no channel 'nowhere'" in program(world, "check", code=1)["problems"][0]["message"]


def tried(world: World, channel: str) -> Any:
    argv = [Path(sys.executable).with_name("dataplatform"), "actions", "--test", channel, "--json"]
    done = subprocess.run(
        argv, env=environment(world) | secrets(), cwd=world.folder, capture_output=True, check=False
    )
    return json.loads(done.stdout)


def secrets() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("DATAPLATFORM_SECRET_")}


def test_the_command_shows_tries_and_does(world: World, inbox: Inbox) -> None:
    world = with_actions(world, "  q: {when: {sql: 'select 1 as one'}, do: [{notify: phone}]}\n")
    assert tried(world, "phone")["status"] == "done"
    assert inbox.bodies()[0]["message"] == "A message to try the channel phone."
    assert "no channel 'fax'" in program(world, "actions", "--test", "fax", code=1)["error"]
    act(world.platform)
    said = program(world, "actions")
    assert said["holding"][0]["text"] == "one: 1"
    assert said["steps"][0]["done_at"]
    assert "one: 1" in program(world, "actions", json_=False)


@pytest.mark.prefect
def test_a_run_of_the_program_tells_by_itself(
    world: World, inbox: Inbox, prefect_env: dict[str, str]
) -> None:
    with_actions(world, "  broken: {when: {failing: [s]}, do: [{notify: phone}]}\n")
    (world.folder / "data" / "a.csv").unlink()
    program_of = [Path(sys.executable).with_name("dataplatform"), "run", "s", "--json"]
    done = subprocess.run(
        program_of,
        env=environment(world) | prefect_env | secrets(),
        cwd=world.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert [body["title"] for body in inbox.bodies()] == ["broken"]


def test_messages_are_put_together_and_no_more_than_can_be_read() -> None:
    title, text = steps.message([{"title": "a", "text": str(n)} for n in range(50)])
    assert title == "50 messages: a"
    assert text.count("\n- ") == 20
    assert "30 more" in text
