"""A folder behind WebDAV, as `files` asks for one: names by pattern, a file open for reading (the extra `webdav`).

A file is fetched whole before it is read: a ZIP needs seeking, which not every server lets do. What the server says is
told as it is meant: refused, not there, or to be tried again.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from urllib.parse import quote, unquote, urlsplit

import httpx

from dataplatform.connectors.auth import OAuth2Auth, TokenAuth
from dataplatform.connectors.contract import Request
from dataplatform.connectors.found_files import WEBDAV
from dataplatform.connectors.rest.credentials import credentials
from dataplatform.errors import ConnectionExpiredError, SourceError, SourceUnavailableError

_OPTIONS = ("username", "password", "ca_file")
_IN_MEMORY = 16 * 1024 * 1024  # bytes of a file; a larger one is on the disk while it is read


@dataclass
class Folder:
    """The files below one address; paths begin with a slash, which is that address."""

    system: Any
    where: str
    connected: str  # the source, where a person connected it
    _folders: set[str] = field(default_factory=set)

    def glob(self, pattern: str) -> list[str]:
        """What matches; the server is asked first, for fsspec takes one that refuses for one that has nothing."""
        with self._told():
            self.system.info("/")
            found = self.system.glob(_listed(pattern.lstrip("/")), detail=True)
        names = {f"/{name.lstrip('/')}": about.get("type") for name, about in found.items()}
        self._folders |= {name for name, kind in names.items() if kind == "directory"}
        return list(names)

    def isdir(self, path: str) -> bool:
        return path in self._folders

    def open(self, path: str, mode: str = "rb") -> IO[bytes]:
        whole = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # who reads it closes it
        try:
            with self._told():
                self.system.client.download_fileobj(path, whole)
        except BaseException:
            whole.close()
            raise
        whole.seek(0)
        return cast("IO[bytes]", whole)

    @contextmanager
    def _told(self) -> Iterator[None]:
        from webdav4.client import ClientError

        try:
            yield
        except FileNotFoundError:
            raise SourceError(f"{self.where}: there is no such folder", "check `path`") from None
        except httpx.TransportError as error:
            if "CERTIFICATE" in str(error).upper():
                raise SourceError(f"{self.where}: no secure connection: {error}", "`ca_file`?") from None
            raise SourceUnavailableError(f"{self.where}: {error or type(error).__name__}") from None
        except ClientError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> SourceError | SourceUnavailableError:
        status = int(getattr(error, "status_code", 0))
        if status == 401 and self.connected:
            return ConnectionExpiredError(
                f"{self.where} refuses the token, and a new one, too: HTTP 401",
                f"connect again: dataplatform connect {self.connected}",
            )
        if status == 401:
            return SourceError(
                f"{self.where} refused us: HTTP 401", "check username and password, or the token"
            )
        if status == 429 or status >= 500 or type(error).__name__ == "BadGatewayError":
            return SourceUnavailableError(f"{self.where}: {error}", "try again later")
        return SourceError(
            f"{self.where}: {error}", "is `path` a folder behind WebDAV that this account may read?"
        )


def _listed(pattern: str) -> str:
    """As a pattern, also a name alone: of that fsspec asks whether it exists, and takes any error for a no.

    >>> _listed("old/*.csv"), _listed("old/a.csv")
    ('old/*.csv', 'old/a.cs[v]')
    """
    if any(sign in pattern for sign in "*?[") or not pattern:
        return pattern
    return f"{pattern[:-1]}[{pattern[-1]}]"


def _joined(base: httpx.URL, path: str, add_trailing_slash: bool = False) -> httpx.URL:
    """The address of a path; webdav4's own way refuses names with `#`, `?` or `%`."""
    whole = f"{base.path.rstrip('/')}/{path.strip('/')}".rstrip("/") or "/"
    return base.copy_with(path=quote(f"{whole}/" if add_trailing_slash and whole != "/" else whole))


def folder_at(url: str, request: Request, options: Mapping[str, Any], auth: TokenAuth | None) -> Folder:
    """The folder that a URL names; a name and a password in it are those of `options`, where these say none."""
    try:
        from webdav4.fsspec import WebdavFileSystem
    except ImportError:
        raise SourceError("WebDAV needs the library webdav4", "pip install 'dataplatform[webdav]'") from None
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise SourceError(f"`options` has no {unknown[0]!r} for WebDAV", f"there: {', '.join(_OPTIONS)}")
    parts = urlsplit(url)
    scheme, host = WEBDAV[parts.scheme.lower()], parts.netloc.rpartition("@")[2]
    base = f"{scheme}://{host}{parts.path}"
    context = ssl.create_default_context(cafile=options.get("ca_file"))
    system = WebdavFileSystem(
        base, auth=_auth(url, request, options, auth, base), verify=context, timeout=request.timeout,
        limits=httpx.Limits(max_keepalive_connections=0), skip_instance_cache=True,  # nobody says when we are done
    )  # fmt: skip
    system.client.join_url = partial(_joined, system.client.base_url)
    connected = request.source.source if isinstance(auth, OAuth2Auth) else ""
    return Folder(system, f"source {request.source.source}: {parts.hostname}", connected)


def _auth(
    url: str, request: Request, options: Mapping[str, Any], auth: TokenAuth | None, base: str
) -> httpx.Auth | None:
    if auth is not None:
        return credentials(request, auth, base)
    parts = urlsplit(url)
    user = options.get("username") or unquote(parts.username or "")
    password = options.get("password") or unquote(parts.password or "")
    return httpx.BasicAuth(str(user), request.noted.note(str(password))) if user else None
