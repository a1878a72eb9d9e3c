"""What a person writes of an API: connector, entity, request, cursor. Names of dlt's `rest_api` are taken, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from dataplatform.connectors.auth import Auth, NoAuth
from dataplatform.connectors.paging import Paginator, SinglePage
from dataplatform.connectors.rest.dlt_names import CURSOR, ENTITY, REQUEST, by_dlt, merged
from dataplatform.connectors.rest.filling import parents_named
from dataplatform.metadata.base import Duration, Metadata, OtherNames, Scalar, Text
from dataplatform.metadata.paths import check_path
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source

JsonPath = Annotated[str, AfterValidator(check_path)]


class Resolve(Metadata):
    """A field of the parent's record, as dlt writes it; `{parent.FIELD}` in a text is the same."""

    type: Literal["resolve"]
    resource: str = Field(description="The parent entity.")
    field: str = Field(description="Path of the field in its record.")


class ResponseAction(OtherNames):
    """What to do about answers that look like this; the first that fits counts."""

    OTHER: ClassVar[Mapping[str, str]] = {
        "status_code": "status", "http_codes": "status", "content": "text", "error_message_contains": "text",
    }  # fmt: skip
    status: tuple[int, ...] = Field(default=(), description="HTTP codes; none: any.")
    text: str = Field(default="", description="What the answer contains.")
    where: JsonPath | None = Field(
        default=None,
        description="A path, also a JSONPath with a filter, that finds something true in its JSON.",
    )
    action: Literal["ignore", "fail", "retry", "accept", "reset_paging", "refresh_token"] = Field(
        description="ignore: no records, go on (the paging of this request ends); fail: with `message`; "
        "retry: as after a 503; "
        "accept: read it, whatever its code; reset_paging: from the first page again, where a cursor "
        "has come on from there; "
        "refresh_token: get a new token, then retry."
    )
    message: str = Field(default="", description="What the error says.")

    @field_validator("status", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _looks_at_something(self) -> ResponseAction:
        if not (self.status or self.text or self.where):
            raise ValueError("say which answers: by `status`, `text` or `where`")
        return self


def _action(value: Any) -> Any:
    """Names of Airbyte's actions, in capitals."""
    if isinstance(value, Mapping) and isinstance(value.get("action"), str):
        names = {
            "success": "accept",
            "reset_pagination": "reset_paging",
            "refresh_token_then_retry": "refresh_token",
            "rate_limited": "retry",
        }
        name = value["action"].lower()
        return {**value, "action": names.get(name, name)}
    return value


Actions = tuple[Annotated[ResponseAction, BeforeValidator(_action)], ...]


class Budget(Metadata):
    """So many requests in so long a time; all entities, threads and processes of the source share it."""

    requests: int = Field(ge=1, le=1_000_000, description="Requests.")
    per: Duration = Field(description="In this time, such as 1m.")

    @field_validator("per")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value.total_seconds() <= 0:
            raise ValueError("a budget is for a time longer than nothing")
        return value


class GraphQL(Metadata):
    """A GraphQL query, posted; `errors` in the answer are errors."""

    query: str = Field(description="The query.")
    variables: dict[str, object] = Field(
        default={}, description="Its variables; a paginator's `cursor_body_path: variables.after` sets one."
    )
    operation: str | None = Field(default=None, description="Name of the operation, where there are several.")


class Poll(Metadata):
    """How to see whether the export is ready."""

    path: str = Field(description="Path of the job; `{job.FIELD}` is of the answer that made it.")
    every: Duration = Field(default=timedelta(seconds=5), description="Time between two looks.")
    limit: Duration = Field(default=timedelta(hours=1), description="How long to wait for it at most.")
    status: JsonPath = Field(default="status", description="Path of the job's state in the answer.")
    done: tuple[str, ...] = Field(
        default=("completed", "complete", "done", "finished", "success", "succeeded", "ready"),
        description="States that mean: ready.",
    )
    failed: tuple[str, ...] = Field(
        default=("failed", "error", "cancelled", "canceled", "expired"),
        description="States that mean: never.",
    )


class Export(Metadata):
    """An asynchronous export: the entity's own request makes a job, which is looked at until its result can be had."""

    poll: Poll = Field(description="How to see whether it is ready.")
    download: str = Field(
        default="", description="Path of the result, with `{job.FIELD}` of the last look's answer, or "
        "an address found by "
        "`download_path`. Empty: the last look's answer is the result."
    )  # fmt: skip
    download_path: JsonPath | None = Field(
        default=None, description="Path of the result's address (or of a list of them) in the last "
        "look's answer. To another "
        "server it is asked for without credentials."
    )  # fmt: skip


class RestRequest(OtherNames):
    """The request of a REST entity."""

    OTHER: ClassVar[Mapping[str, str]] = REQUEST
    path: str = Field(
        default="", description="Appended to the connector's base_url, or an address on its server. In "
        "it, in params, headers and "
        "body `{parent.FIELD}`, `{each.NAME}`, `{since}` and `{until}` stand for values."
    )  # fmt: skip
    method: Literal["GET", "POST", "PUT"] = Field(default="GET", description="HTTP method.")
    params: dict[str, Scalar | list[Scalar] | Resolve] = Field(default={}, description="Query parameters.")
    headers: dict[str, Text] = Field(default={}, description="Further headers.")
    body: dict[str, object] | list[object] | None = Field(default=None, description="JSON body of a POST.")
    records: JsonPath | None = Field(
        default=None,
        description="Path of the list of records in the response, such as `data.items` or the JSONPath "
        "`$.data[*].node`; `columns(hourly)`: an object whose lists are columns; "
        "absent: the response itself, or its only list.",
    )
    form: dict[str, Scalar] | None = Field(default=None, description="Body of a POST as a form, instead.")
    graphql: GraphQL | None = Field(default=None, description="A GraphQL query, instead of a body.")
    format: Literal["auto", "json", "jsonl", "csv", "xml"] = Field(
        default="auto", description="What the answer is; auto: as its Content-Type says, else JSON. Of "
        "XML, `records` names the "
        "elements: `feed.entry`."
    )  # fmt: skip
    delimiter: str | None = Field(
        default=None, description="csv: what is between fields; guessed when absent."
    )
    encoding: str | None = Field(
        default=None, description="csv: encoding of the text; as the answer says, else UTF-8."
    )
    paginator: Paginator | None = Field(
        default=None, description="How the next page is found, where the connector's is not it."
    )
    response_actions: Actions = Field(
        default=(), description="What to do about certain answers; before the connector's."
    )
    each: dict[str, tuple[Scalar, ...]] = Field(
        default={}, description="Lists of values: a request for each combination, `{each.NAME}` is the value."
    )
    group: int = Field(
        default=1,
        ge=1,
        description="So many values of the one list of `each` in a request, with commas between.",
    )
    export: Export | None = Field(default=None, description="The answer is a job, whose result comes later.")
    conditional: bool = Field(
        default=True, description="Whether a single page is asked for with ETag and If-Modified-Since "
        "of the run before: what is "
        "the same is not read again."
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _dlt(cls, value: Any) -> Any:
        """A text is a path."""
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_body(self) -> RestRequest:
        if sum(x is not None for x in (self.body, self.form, self.graphql)) > 1:
            raise ValueError("one of `body`, `form` and `graphql`")
        if self.group > 1 and len(self.each) != 1:
            raise ValueError("`group` is about one list of `each`")
        return self

    @property
    def verb(self) -> str:
        """GraphQL, and what has a body, is posted."""
        if self.method == "GET" and (self.graphql or self.body is not None or self.form):
            return "POST"
        return self.method


class Parent(Metadata):
    """Another entity, for each record of which this one is asked for."""

    entity: str = Field(description="The parent entity; it is read along, from its own request.")
    group: int = Field(
        default=1, ge=1, description="So many parents in one request, their values with commas between."
    )
    incremental: bool = Field(
        default=False,
        description="Only for parents that changed since the last run, by the parent's `cursor`; needs `load: delta`.",
    )
    where: JsonPath | None = Field(
        default=None, description="Path of what must be true in a parent's record, such as `has_comments`."
    )


class RestCursor(CursorField, OtherNames):
    """How a delta load of an API knows where to go on."""

    OTHER: ClassVar[Mapping[str, str]] = CURSOR
    param: str | None = Field(
        default=None, description="Parameter that carries it; `{since}` in the request is the same."
    )
    end_param: str | None = Field(
        default=None, description="Parameter that carries where a window ends; or `{until}`."
    )
    step: Duration | None = Field(
        default=None,
        description="The time since then is asked for in windows of this length, from `initial` on.",
    )
    granularity: Duration = Field(
        default=timedelta(seconds=1), description="The least difference of two values. Where no "
        "`overlap` is said, reading steps "
        "back by it: what was written in the same second, after we had read, is not lost."
    )  # fmt: skip
    format: str = Field(
        default="", description="How the parameter is written: `epoch`, `epoch_ms`, `iso`, `date`, or "
        "as `%Y-%m-%d`; empty: as "
        "records write it."
    )  # fmt: skip
    filter: bool = Field(
        default=False,
        description="The API cannot filter: older records are left out here (but those without a value).",
    )
    order: Literal["asc", "desc"] | None = Field(
        default=None,
        description="desc: the newest come first, and paging ends at the first page that is all older.",
    )

    @model_validator(mode="after")
    def _windows(self) -> RestCursor:
        if self.step is not None and self.initial is None:
            raise ValueError("`step` needs `initial`: where does the first window begin?")
        if self.step is not None and self.step <= self.granularity:
            raise ValueError("`step` is longer than `granularity`")
        return self


class RestConnector(Connector, OtherNames):
    """A JSON API over HTTP."""

    type: Literal["rest"]
    base_url: Text = Field(description="Address that each request's path is appended to.")
    auth: Auth = Field(default=NoAuth(), description="How requests are authenticated.")
    paginator: Paginator = Field(default=SinglePage(), description="How the next page is found.")
    headers: dict[str, Text] = Field(default={}, description="Headers of every request.")
    params: dict[str, Scalar] = Field(default={}, description="Parameters of every request.")
    retries: int = Field(default=5, ge=0, description="Further tries of a failed request.")
    give_up: Duration = Field(
        default=timedelta(seconds=30), description="How long a request is tried again at most, waits "
        "that the server asked for "
        "aside; then the run's own retry."
    )  # fmt: skip
    timeout: Duration | None = Field(default=None, description="Time-out of one request.")
    max_pages: int = Field(default=100_000, ge=1, description="Stop, with an error, beyond this.")
    max_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        description="Stop, with an error, at an answer that unpacks to more than this.",
    )
    budget: Budget | None = Field(default=None, description="How many requests the API allows.")
    concurrency: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Pages and parents that are asked for side by side; the order of records stays.",
    )
    response_actions: Actions = Field(default=(), description="What to do about certain answers.")
    resource_defaults: dict[str, Any] = Field(
        default={},
        description="What entities say unless they say otherwise; `request` is merged (dlt: `endpoint`).",
    )


class RestEntity(Entity, OtherNames):
    """One kind of record: what a request answers. A resource of dlt's `rest_api` may stand here as it is."""

    OTHER: ClassVar[Mapping[str, str]] = ENTITY
    request: RestRequest = Field(description="What to ask for.")
    cursor: RestCursor | None = Field(default=None, description="delta: where to go on.")
    parent: (
        Annotated[Parent, BeforeValidator(lambda v: {"entity": v} if isinstance(v, str) else v)] | None
    ) = Field(
        default=None,
        description="The entity for each record of which this one is asked for; its name is enough.",
    )
    deleted: JsonPath | None = Field(
        default=None,
        description="Path of what is true in a record that has been deleted, such as `is_deleted` or `deleted_at`: it "
        "ends, in a delta load, too.",
    )
    include_from_parent: tuple[str, ...] = Field(
        default=(), description="Fields of the parent's record that its children get, as `_<parent>_<field>`."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_dlt_writes_it(cls, value: Any) -> Any:
        return by_dlt(value) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _incremental_parent(self) -> RestEntity:
        if self.parent and self.parent.incremental and self.load == "full":
            raise ValueError(
                "a parent that is `incremental` needs `load: delta`; a full load reads all of them"
            )
        if self.parent and self.parent.group > 1 and self.include_from_parent:
            raise ValueError("`include_from_parent` needs a request for each parent, without `group`")
        if self.deleted and self.by_row:
            raise ValueError("`deleted` needs a key: what has none cannot be ended")
        if self.cursor and self.cursor.step and self.parent:
            raise ValueError("`step` and `parent` do not go together; leave one of them away")
        return self

    @property
    def parent_name(self) -> str | None:
        """The parent that is named, or that a placeholder or `resolve` names."""
        if self.parent:
            return self.parent.entity
        return next(iter(parents_named(self.request)), None)


class RestSource(Source):
    """A JSON API."""

    connector: RestConnector = Field(description="How it is reached.")
    entities: Mapping[Name, RestEntity] = Field(min_length=1, description="What it holds.")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        connector = value.get("connector") if isinstance(value, Mapping) else None
        defaults = connector.get("resource_defaults") if isinstance(connector, Mapping) else None
        entities = value.get("entities") if isinstance(value, Mapping) else None
        if not isinstance(defaults, Mapping) or not isinstance(entities, Mapping):
            return value
        return {**value, "entities": {name: merged(defaults, one) for name, one in entities.items()}}

    @model_validator(mode="after")
    def _parents(self) -> RestSource:
        for name, entity in self.entities.items():
            line, parent = [name], entity.parent_name
            if len(parents_named(entity.request) | ({parent} if parent else set())) > 1:
                raise ValueError(
                    f"{name}: one parent, not {', '.join(sorted(parents_named(entity.request)))}"
                )
            while parent:
                if parent not in self.entities:
                    raise ValueError(
                        f"{name}: there is no entity {parent!r}; legal: {', '.join(self.entities)}"
                    )
                if parent in line:
                    raise ValueError(
                        f"{name} is, by its parents, its own parent: {' → '.join([*line, parent])}"
                    )
                line.append(parent)
                parent = self.entities[parent].parent_name
        return self
