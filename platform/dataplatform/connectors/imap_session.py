"""A session with an IMAP server: connected, signed in by password or token (XOAUTH2, OAUTHBEARER), and left again.

`imap` asks for one. What the server says is told as it is meant: refused, or to be tried again.
"""

from __future__ import annotations

import imaplib
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from dataplatform.connectors.auth import OAuth2Auth
from dataplatform.connectors.contract import Request
from dataplatform.connectors.imap import ImapConnector
from dataplatform.errors import ConnectionExpiredError, DataplatformError, SourceError, SourceUnavailableError

Tokens = Callable[[str], str]  # gives a token that is good, and never the one that was refused


class _TokenRefusedError(imaplib.IMAP4.error):
    """The server does not take the token."""


@contextmanager
def signed_in(request: Request, connector: ImapConnector) -> Iterator[imaplib.IMAP4]:
    """A server that has let us in; left at the end of the block.

    Raises ConnectionExpiredError where a person has to connect again, SourceUnavailableError for what may pass.
    """
    where = f"source {request.source.source}: {connector.host}"
    server: imaplib.IMAP4 | None = None
    try:
        server = _opened(request, connector)
        yield server
    except DataplatformError:
        raise
    except ssl.SSLError as error:
        raise SourceError(f"{where}: no secure connection: {error}", "`ca_file`, or `security`?") from None
    except (imaplib.IMAP4.abort, OSError) as error:
        raise SourceUnavailableError(f"{where}: {_said(error)}") from None
    except imaplib.IMAP4.error as error:
        raise _refusal(request, connector, error, f"{where} refused: {_said(error)}") from None
    finally:
        if server is not None:
            _leave(server)


def _refusal(
    request: Request, connector: ImapConnector, error: imaplib.IMAP4.error, words: str
) -> DataplatformError:
    if "[UNAVAILABLE]" in words.upper():  # RFC 5530: something behind the server is away
        return SourceUnavailableError(words, "try again later")
    if isinstance(error, _TokenRefusedError) and isinstance(connector.auth, OAuth2Auth):
        name = request.source.source
        return ConnectionExpiredError(
            words, f"check username and scopes, then connect again: dataplatform connect {name}"
        )
    secret = "password" if connector.auth is None else "token"
    return SourceError(words, f"check username, {secret} and folders")


def _opened(request: Request, connector: ImapConnector) -> imaplib.IMAP4:
    """Connected and let in; a token that is refused is renewed once, in a connection of its own."""
    user = str(request.resolve(connector.username))
    if connector.auth is None:
        password = str(request.resolve(connector.password))
        return _let_in(request, connector, partial(_by_password, user=user, password=password))
    tokens = _tokens(request, connector)
    token = tokens("")
    try:
        return _let_in(request, connector, partial(_by_token, user=user, token=token))
    except _TokenRefusedError:
        fresh = tokens(token)
        if fresh == token:  # it stays as it is: nothing is to be hoped for
            raise
    return _let_in(request, connector, partial(_by_token, user=user, token=fresh))


def _tokens(request: Request, connector: ImapConnector) -> Tokens:
    auth = connector.auth
    if isinstance(auth, OAuth2Auth):
        from dataplatform.connectors import oauth  # imports httpx: only for who is let in so

        client, seed = oauth.client_of(request, auth), oauth.seed_of(request, auth)
        return lambda refused: oauth.access_token(client, seed, refused)
    assert auth is not None
    token = request.noted.note(str(request.resolve(auth.token)))
    return lambda refused: token


def _let_in(
    request: Request, connector: ImapConnector, sign_in: Callable[[imaplib.IMAP4], None]
) -> imaplib.IMAP4:
    server = _connected(connector, request.timeout)
    try:
        sign_in(server)
        _know_changes(server)
    except BaseException:
        _leave(server)
        raise
    return server


def _leave(server: imaplib.IMAP4) -> None:
    with suppress(imaplib.IMAP4.error, OSError):  # it is gone already
        server.logout()


def _said(error: BaseException) -> str:
    text = error.args[0] if error.args else str(error)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(error)


def _connected(connector: ImapConnector, timeout: float) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=connector.ca_file)
    port = connector.port or (993 if connector.security == "tls" else 143)
    if connector.security == "tls":
        return imaplib.IMAP4_SSL(connector.host, port, ssl_context=context, timeout=timeout)
    server = imaplib.IMAP4(connector.host, port, timeout=timeout)
    if connector.security == "starttls":
        server.starttls(context)
    return server


def _by_password(server: imaplib.IMAP4, user: str, password: str) -> None:
    if "AUTH=PLAIN" in server.capabilities:
        server.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        return
    try:
        server.login(user, password)
    except UnicodeEncodeError:  # what it says holds the password
        raise SourceError(
            "the server takes only ASCII in names and passwords",
            "give this program a password of its own",
        ) from None


def _by_token(server: imaplib.IMAP4, user: str, token: str) -> None:
    """XOAUTH2 (Google's and Microsoft's), or OAUTHBEARER (RFC 7628); why a token is refused comes as a challenge."""
    offered = [name for name in ("XOAUTH2", "OAUTHBEARER") if f"AUTH={name}" in server.capabilities]
    if not offered:
        raise SourceError(
            f"{server.host} takes no tokens: it offers neither XOAUTH2 nor OAUTHBEARER",
            "sign in by `password`, in place of `auth`",
        )
    reasons: list[str] = []

    def answer(challenge: bytes) -> bytes:
        if challenge:
            reasons.append(_reason(challenge))
            return b"" if offered[0] == "XOAUTH2" else b"\x01"
        return _shown(offered[0], user, token, server.host, server.port).encode()

    try:
        server.authenticate(offered[0], answer)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        told = " ".join(filter(None, [_said(error), *reasons]))
        kind = imaplib.IMAP4.error if "[UNAVAILABLE]" in told.upper() else _TokenRefusedError
        raise kind(f"the token is refused: {told}") from None


def _shown(mechanism: str, user: str, token: str, host: str, port: int) -> str:
    """
    >>> _shown("XOAUTH2", "a@x", "t", "h", 993)
    'user=a@x\\x01auth=Bearer t\\x01\\x01'
    >>> _shown("OAUTHBEARER", "a=b,c@x", "t", "h", 993)
    'n,a=a=3Db=2Cc@x,\\x01host=h\\x01port=993\\x01auth=Bearer t\\x01\\x01'
    """
    if mechanism == "XOAUTH2":
        return f"user={user}\x01auth=Bearer {token}\x01\x01"
    name = user.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"


def _reason(challenge: bytes) -> str:
    """What the server says of the token: a small JSON object, `{"status": "invalid_token", "scope": …}`."""
    try:
        said = json.loads(challenge)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    words = (f"{name} {said[name]}" for name in ("status", "scope") if said.get(name))
    return f"({', '.join(words)})"


def _know_changes(server: imaplib.IMAP4) -> None:
    """Has the server say which flags changed, where it can; it offers more than before one signed in."""
    words = server.capability()[1][0].decode("ascii", "replace").upper().split()
    if "ENABLE" in words and "CONDSTORE" in words:
        server.capabilities = tuple(words)
        server.enable("CONDSTORE")
