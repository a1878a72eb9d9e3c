"""Actions: what is done when something happened, or is so; the models behind metadata/actions.yaml."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from dataplatform.metadata.base import Duration, Metadata, SecretRef, Text, Zone


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time):
        return value
    # YAML 1.1 reads 22:00 without quotes as a number of base sixty
    minutes = value if isinstance(value, int) and not isinstance(value, bool) else None
    try:
        return time(*divmod(minutes, 60)) if minutes is not None else time.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f'{value!r} is no time of day; write "22:00"') from None


TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day, json_schema_input_type=str),
    PlainSerializer(lambda t: t.strftime("%H:%M"), return_type=str),
]
Patterns = tuple[str, ...]


class Quiet(Metadata):
    """Hours in which nobody is disturbed; what comes then waits until they end."""

    from_: TimeOfDay = Field(alias="from", description='Their beginning, such as `"22:00"`.')
    to: TimeOfDay = Field(description="Their end; before the beginning: on the next day.")


class Channel(Metadata):
    """Where messages go: one of the services that apprise knows."""

    url: SecretRef = Field(
        description="An [apprise](https://github.com/caronc/apprise) URL: ntfy, mail, Telegram, Matrix…; as a secret, "
        "for it holds one."
    )
    quiet: Quiet | None = Field(default=None, description="Hours in which only `urgent` actions are sent.")
    digest: tuple[TimeOfDay, ...] = Field(
        default=(), description="Times of day at which what has come is sent as one message; none: at once."
    )
    timezone: Zone = Field(default="UTC", description="IANA time zone of these times.")


class Call(Metadata):
    """A URL that is called."""

    url: Text = Field(description="Whole address; may be a secret.")
    method: Literal["POST", "PUT", "GET"] = Field(default="POST", description="HTTP method.")
    headers: dict[str, Text] = Field(default={}, description="Further headers.")
    body: dict[str, object] | None = Field(
        default=None, description="JSON body; absent: what happened, as docs/actions.md shows it."
    )


class Step(Metadata):
    """One thing that is done; exactly one of notify, call, run, python."""

    notify: str | None = Field(default=None, description="Name of a channel.")
    title: str = Field(
        default="", description="Of the message; `{source}`, `{entity}`, `{error}`… are filled in."
    )
    text: str = Field(default="", description="Of the message; as the title.")
    call: Call | None = Field(default=None, description="A URL that is called.")
    run: str | None = Field(default=None, description="A source whose deployment is run.")
    python: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_]\w*\.[A-Za-z_]\w*$",
        description="`file.function` of connectors/file.py; it is called with what happened, a dict.",
    )

    @model_validator(mode="after")
    def _one(self) -> Step:
        kinds = [name for name in ("notify", "call", "run", "python") if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(
                f"a step is exactly one of notify, call, run, python; here: {', '.join(kinds) or 'none'}"
            )
        return self

    @property
    def kind(self) -> str:
        return next(name for name in ("notify", "call", "run", "python") if getattr(self, name) is not None)


class NoData(Metadata):
    """Nothing new has come into silver for so long."""

    entities: Patterns = Field(default=("*",), description="`source.entity`, with `*`.")
    for_: Duration = Field(alias="for", description="Such as `2d`.")


class Waiting(Metadata):
    """More records are in quarantine than these."""

    entities: Patterns = Field(default=("*",), description="`source.entity`, with `*`.")
    more_than: int = Field(default=0, ge=0, description="Records that may wait.")


class Expiring(Metadata):
    """What lets us into a source ends soon, or has ended."""

    sources: Patterns = Field(default=("*",), description="Sources, with `*`.")
    within: Duration = Field(default=timedelta(days=7), description="So long before.")


class When(Metadata):
    """A condition; exactly one of these. Each is looked at when a run ends, and every quarter of an hour."""

    failing: Patterns | None = Field(default=None, description="Sources whose last run failed; `*` for all.")
    no_data: NoData | None = Field(default=None, description="Entities that nothing new has come of.")
    quarantine: Waiting | None = Field(default=None, description="Entities with records in quarantine.")
    checks: Patterns | None = Field(default=None, description="`source.entity` whose last checks failed.")
    expiring: Expiring | None = Field(
        default=None, description="Sources whose connection, or a token that says its end, ends soon."
    )
    sql: str | None = Field(
        default=None, description="A query on silver and gold: it is so while it gives rows."
    )

    @model_validator(mode="after")
    def _one(self) -> When:
        if len(self.model_fields_set) != 1:
            said = ", ".join(sorted(self.model_fields_set)) or "none"
            raise ValueError(f"`when` is exactly one of {', '.join(type(self).model_fields)}; here: {said}")
        return self


class Action(Metadata):
    """What is done when something happened (`on`), or once while something is so (`when`)."""

    description: str = Field(default="", description="For people.")
    on: tuple[Literal["batch.landed", "entity.loaded", "gold.built", "run.failed", "source.expired"], ...] = (
        Field(default=(), description="Events.")
    )
    of: Patterns = Field(
        default=("*",), description="Which of them: `source`, `source.entity` or a gold model, with `*`."
    )
    when: When | None = Field(default=None, description="A condition instead of events.")
    do: tuple[Step, ...] = Field(description="Steps; one that fails keeps no other from being done.")
    urgent: bool = Field(default=False, description="Is sent in quiet hours, and at once.")
    resolved: bool = Field(default=True, description="`when`: messages say, too, when it is so no more.")

    @model_validator(mode="after")
    def _either(self) -> Action:
        if bool(self.on) == (self.when is not None):
            raise ValueError("an action has either `on` or `when`")
        if not self.do:
            raise ValueError("`do` has at least one step")
        return self


class Actions(Metadata):
    """The file metadata/actions.yaml."""

    channels: dict[str, Channel] = Field(default={}, description="Where messages go, by name.")
    actions: dict[str, Action] = Field(default={}, description="What is done when, by name.")

    @model_validator(mode="after")
    def _channels_there(self) -> Actions:
        for name, action in self.actions.items():
            for step in action.do:
                if step.notify is not None and step.notify not in self.channels:
                    known = ", ".join(sorted(self.channels)) or "none"
                    raise ValueError(
                        f"actions.{name}: there is no channel {step.notify!r}; channels: {known}"
                    )
        return self
