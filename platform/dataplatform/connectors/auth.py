"""How requests are authenticated, as a person writes it; who does it: rest/credentials.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from dataplatform.connectors.paging import by_name, check_place
from dataplatform.metadata.base import Duration, Metadata, OtherNames, Scalar, Text

if TYPE_CHECKING:
    import httpx


class NoAuth(Metadata):
    """No credentials are sent."""

    type: Literal["none"] = "none"


class BearerAuth(Metadata):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    token: Text = Field(description="The token, best as `{secret: name}`.")


class ApiKeyAuth(OtherNames):
    """A key in a header, a query parameter or a cookie."""

    OTHER: ClassVar[Mapping[str, str]] = {"api_key": "key"}
    type: Literal["api_key"]
    key: Text = Field(description="The key, best as `{secret: name}`.")
    name: str = Field(default="X-Api-Key", description="Name of the header, parameter or cookie.")
    location: Literal["header", "query", "cookie", "param"] = Field(
        default="header", description="Where it goes; `param` is `query`."
    )
    prefix: str = Field(default="", description="What stands before the key, such as `Token `.")


class BasicAuth(Metadata):
    """HTTP basic authentication."""

    type: Literal["basic", "http_basic"]
    username: Text = Field(description="The user's name.")
    password: Text = Field(description="The password, best as `{secret: name}`.")


class _Tokens(OtherNames):
    """What all grants of OAuth2 share."""

    OTHER: ClassVar[Mapping[str, str]] = {"access_token_url": "token_url"}
    token_url: Text = Field(description="Address that gives access tokens.")
    client_id: Text = Field(description="The client's id.")
    scopes: tuple[str, ...] = Field(default=(), description="What is asked for.")
    token_params: dict[str, Scalar] = Field(
        default={}, description="More fields of the token request, such as `audience`."
    )
    client_auth: Literal["body", "basic"] = Field(
        default="body",
        description="Whether id and secret of the client go in the body or as basic authentication.",
    )
    expires_in: Duration = Field(
        default=timedelta(hours=1), description="How long a token lasts where the answer does not say."
    )

    @field_validator("scopes", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value


class ClientCredentialsAuth(_Tokens):
    """OAuth2 client credentials: the source gives a token for the client's own id and secret."""

    OTHER: ClassVar[Mapping[str, str]] = {
        "access_token_url": "token_url",
        "access_token_request_data": "token_params",
        "default_token_expiration": "expires_in",
    }
    type: Literal["oauth2_client_credentials"]
    client_secret: Text = Field(description="The client's secret, best as `{secret: name}`.")


class OAuth2Auth(_Tokens):
    """OAuth2 with refresh tokens: `dataplatform connect SOURCE` asks a person once, and keeps what is rotated."""

    type: Literal["oauth2"]
    client_secret: Text | None = Field(
        default=None, description="The client's secret; none of a public client."
    )
    authorize_url: Text | None = Field(
        default=None, description="Page that asks a person (authorization code, PKCE)."
    )
    device_url: Text | None = Field(default=None, description="Address that gives codes for another device.")
    refresh_token: Text | None = Field(
        default=None,
        description="A refresh token to begin with, instead of `connect`; those that follow are kept.",
    )
    pkce: bool = Field(default=True, description="Whether the code is bound to this process (RFC 7636).")
    redirect_uri: str = Field(
        default="http://127.0.0.1:8723/callback",
        description="Where the page sends a person back; as registered there.",
    )
    authorize_params: dict[str, str] = Field(
        default={}, description="More parameters of the page, such as `access_type: offline`."
    )

    @model_validator(mode="after")
    def _some_way(self) -> OAuth2Auth:
        if not (self.authorize_url or self.device_url or self.refresh_token):
            raise ValueError("name `authorize_url`, `device_url` or a `refresh_token`: how does it begin?")
        return self


def _one_group(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    if value and groups != 1:
        raise ValueError(f"{value!r} has {groups} groups; one of them is the token: `Auth=(.+)`")
    return value


class SessionTokenAuth(Metadata):
    """Logs in with a request, and sends the token of its answer; again where the server has forgotten it."""

    type: Literal["session_token"]
    login: str = Field(description="Path (or address) of the login.")
    method: Literal["GET", "POST"] = Field(default="POST", description="Its method.")
    body: dict[str, object] = Field(
        default={}, description="Its JSON body, with secrets as `{secret: name}`."
    )
    form: bool = Field(default=False, description="Whether the body goes as a form.")
    headers: dict[str, Text] = Field(default={}, description="Its headers.")
    token_path: str = Field(default="token", description="Path of the token in its answer.")
    token_pattern: Annotated[str, AfterValidator(_one_group)] = Field(
        default="", description="Regular expression with one group, the token, where the answer is no JSON."
    )
    name: str = Field(default="Authorization", description="Header, parameter or cookie that carries it.")
    location: Literal["header", "query", "cookie"] = Field(default="header", description="Where it goes.")
    prefix: str = Field(default="Bearer ", description="What stands before it.")
    lasts: Duration = Field(default=timedelta(hours=1), description="How long it is used.")


class JwtAuth(Metadata):
    """Signs a token of its own for each hour (RFC 7519)."""

    type: Literal["jwt"]
    key: Text = Field(description="The secret or the private key (PEM), best as `{secret: name}`.")
    algorithm: Literal[
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"
    ] = Field(default="HS256", description="How it is signed.")
    claims: dict[str, Scalar] = Field(
        default={}, description="Its claims: iss, sub, aud…; iat and exp are added."
    )
    jwt_headers: dict[str, Scalar] = Field(default={}, description="More of its header, such as `kid`.")
    base64_key: bool = Field(default=False, description="Whether the secret is written in base64.")
    lasts: Duration = Field(default=timedelta(minutes=20), description="From iat to exp.")
    prefix: str = Field(default="Bearer ", description="What stands before it in `Authorization`.")


class BunqAuth(Metadata):
    """bunq: a key pair that is made once, a device that is registered, sessions that are signed for and renewed."""

    type: Literal["bunq"]
    key: Text = Field(description="The API key, best as `{secret: name}`.")
    device: str = Field(default="dataplatform", description="What bunq's app calls this program.")
    permitted_ips: tuple[str, ...] = Field(
        default=(),
        description="Addresses the key is for; none: the one it is first used from; `*`, of a wildcard key.",
    )


class CustomAuth(Metadata):
    """Your own subclass of httpx.Auth, in a Python file under connectors/."""

    type: Literal["custom"]
    auth: str = Field(description="`file.Class`; it is made with `config`, secrets resolved.")
    config: dict[str, object] = Field(default={}, description="Its arguments.")

    @model_validator(mode="after")
    def _named(self) -> CustomAuth:
        check_place(self.auth)
        return self


Auth = Annotated[
    Annotated[
        NoAuth
        | BearerAuth
        | ApiKeyAuth
        | BasicAuth
        | ClientCredentialsAuth
        | OAuth2Auth
        | SessionTokenAuth
        | JwtAuth
        | BunqAuth
        | CustomAuth,
        Field(discriminator="type"),
    ],
    BeforeValidator(by_name),
]

TokenAuth = Annotated[OAuth2Auth | BearerAuth, Field(discriminator="type")]
"""Where a server that is no API takes a token in place of a password."""


def httpx_auth(
    auth: Auth, resolved: Callable[[Any], str], credential: Callable[[Any], str]
) -> httpx.Auth | None:
    """What httpx needs to send each request with credentials that stay the same.

    `resolved` turns a secret into its value; `credential` does so for what is a secret even where it is written as it
    is. A user's name is none: it may stand in all records.
    """
    import httpx  # imported by who reads, not by who checks metadata

    from dataplatform.connectors.rest.credentials import Placed

    match auth:
        case BearerAuth():
            return Placed("Authorization", f"Bearer {credential(auth.token)}", "header")
        case BasicAuth():
            return httpx.BasicAuth(resolved(auth.username), credential(auth.password))
        case ApiKeyAuth():
            return Placed(auth.name, auth.prefix + credential(auth.key), auth.location)
    return None
