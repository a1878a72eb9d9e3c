"""What all commands share: --json, errors for people, logs on stderr."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console

from dataplatform import project
from dataplatform.errors import DataplatformError, SettingsError
from dataplatform.secrets.masking import masked_errors
from dataplatform.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

F = TypeVar("F", bound=Callable[..., Any])
err = Console(stderr=True)
out = Console()


def command(function: F) -> F:
    """Errors of ours become a message (or JSON) and exit code 1; Ctrl-C becomes 130."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        as_json = bool(kwargs.get("json_"))
        try:
            set_up_logging()
            with masked_errors():
                return function(*args, **kwargs)
        except KeyboardInterrupt:
            err.print("stopped")
            raise typer.Exit(130) from None
        except typer.Exit:
            raise
        except Exception as error:
            ours = as_ours(error)
            if ours is None:
                raise
            _tell(ours, as_json)
            raise typer.Exit(1) from None

    return wrapped  # type: ignore[return-value]  # functools.wraps keeps the signature


def as_ours(error: Exception) -> DataplatformError | None:
    """An error as one of ours; a server's, a closed file's, too. None for a defect."""
    if isinstance(error, DataplatformError):
        return error
    if isinstance(error, PermissionError) and error.filename:
        return SettingsError(
            f"{error.filename}: {error.strerror}, for the user {os.geteuid()}",
            "give it to this user (chown -R); or, with compose, name its owner as DATAPLATFORM_UID in .env",
        )
    if "sqlalchemy" not in sys.modules and "pymongo" not in sys.modules:
        return None
    from dataplatform.storage.mongo import server_errors
    from dataplatform.storage.postgres import database_errors  # only after an error of a loaded driver

    try:
        with database_errors(), server_errors():
            raise error
    except DataplatformError as translated:
        return translated
    except Exception:
        return None


def _tell(error: DataplatformError, as_json: bool) -> None:
    if as_json:
        print_json({"status": "failed", "error": error.message, "remedy": error.remedy})
    err.print(f"[red]error:[/] {_plain(error.message)}", highlight=False)
    if error.remedy:
        err.print(f"  → {_plain(error.remedy)}", highlight=False)


def _plain(text: str) -> str:
    """Square brackets of a message are no markup."""
    return text.replace("[", r"\[")


def print_json(document: Any) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS  # SQLAlchemy's names are their own type
    sys.stdout.write(orjson.dumps(document, default=str, option=options).decode() + "\n")
    sys.stdout.flush()


def set_up_logging() -> None:
    """Our log lines go to stderr; Prefect sets up its own."""
    level = load_settings().log_level.upper()
    logger = logging.getLogger("dataplatform")
    logger.setLevel(level if level in logging.getLevelNamesMapping() else "INFO")
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


def leave_logging_to_prefect() -> None:
    """Takes our handler away where Prefect has put its own above it: each line would be there twice."""
    logger = logging.getLogger("dataplatform")
    for handler in [h for h in logger.handlers if type(h) is logging.StreamHandler]:
        if logging.getLogger().handlers:
            logger.removeHandler(handler)


def use_flows() -> None:
    """Lets `flows` be imported from the checkout or the wheel; Prefect takes over our log lines."""
    logging.getLogger("dataplatform").handlers.clear()
    if str(project.base()) not in sys.path:
        sys.path.append(str(project.base()))
