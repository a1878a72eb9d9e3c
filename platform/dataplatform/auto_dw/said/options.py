"""How an LLM is used: what the settings say of it, and what an experiment changes in that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from dataplatform.errors import SettingsError
from dataplatform.settings import Settings

MATERIAL = "{material}"  # where a prompt has what it is about
PROMPTS = ("table", "brief")  # those that come along, by name


@dataclass(frozen=True)
class Options:
    """`prompt` is its text; `values`: the LLM may see samples (never of sensitive columns)."""

    url: str = field(repr=False)
    model: str
    key: str = field(repr=False)
    timeout: float
    budget: int
    samples: int
    values: bool
    prompt: str

    @property
    def address(self) -> str:
        """Its URL without what may be a secret in it."""
        return without_secrets(self.url)


def of_settings(settings: Settings) -> Options:
    """Raises SettingsError where no LLM is named, or its prompt is none."""
    if not settings.llm_url:
        raise SettingsError(
            "there is no LLM: DATAPLATFORM_LLM_URL is not set",
            "set it to an OpenAI-compatible API, such as http://localhost:11434/v1, or leave out --llm",
        )
    return Options(
        url=settings.llm_url,
        model=settings.llm_model,
        key=settings.llm_key.get_secret_value() if settings.llm_key else "",
        timeout=settings.llm_timeout,
        budget=settings.llm_budget,
        samples=settings.llm_samples,
        values=settings.llm_values,
        prompt=prompt_text(settings.llm_prompt),
    )


def at(options: Options, url: str) -> Options:
    """The same with another server; the key goes to no other than the one that it was given for."""
    return replace(options, url=url, key=options.key if _origin(url) == _origin(options.url) else "")


def prompt_text(name: str) -> str:
    """The text of a prompt that comes along, or of a file."""
    path = Path(name).expanduser()
    if name in PROMPTS:
        return (files(__package__) / "prompts" / f"{name}.md").read_text()
    if not path.is_file():
        raise SettingsError(f"there is no prompt {name}", f"a file, or one of {', '.join(PROMPTS)}")
    text = path.read_text()
    if text.count(MATERIAL) != 1:
        raise SettingsError(
            f"the prompt {name} says {MATERIAL} {text.count(MATERIAL)} times",
            f"write {MATERIAL} once, where the table is to stand (auto_dw/said/prompts/table.md is an example)",
        )
    return text


def without_secrets(url: str) -> str:
    """Scheme, host and path: a user, a password and a query may be secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def credentials(url: str) -> tuple[str, str] | None:
    """The user and the password in a URL."""
    parts = urlsplit(url)
    return (parts.username or "", parts.password or "") if "@" in parts.netloc else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]
