"""Settings: everything that comes from the environment (`DATAPLATFORM_*`) or from `.env`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dataplatform.errors import SettingsError


@dataclass(frozen=True)
class PrefectApi:
    """Where a Prefect API is (…/api), and what it asks for: `user:password`, None for one that asks for nothing."""

    url: str
    auth: str | None = field(default=None, repr=False)


class Settings(BaseSettings):
    """What the environment says. Paths are relative to the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="DATAPLATFORM_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(
        default=Path(".dataplatform"),
        description="Folder for embedded servers, raw files and local secrets.",
    )
    metadata_path: Path = Field(
        default=Path("metadata"),
        alias="DATAPLATFORM_METADATA",
        description="Folder with sources/*.yaml and gold/*.sql.",
    )
    connectors: Path = Field(
        default=Path("connectors"),
        description="Folder with your own connectors, one Python file each.",
    )
    postgres_url: SecretStr | None = Field(
        default=None,
        description="Postgres of silver, gold and audit; embedded when absent.",
    )
    mongo_url: SecretStr | None = Field(
        default=None,
        description="MongoDB of bronze, with the database's name; embedded when absent.",
    )
    raw_url: str | None = Field(
        default=None,
        description="Folder or fsspec URL of raw files; HOME/raw when absent.",
    )
    prefect_api_url: str | None = Field(
        default=None,
        alias="PREFECT_API_URL",
        description="API of the Prefect server; embedded when absent.",
    )
    prefect_api_auth: SecretStr | None = Field(
        default=None,
        alias="PREFECT_API_AUTH_STRING",
        description="`user:password` that this API asks for; an embedded server has its own, in HOME/prefect/auth.",
    )
    prefect_url: str | None = Field(
        default=None,
        description="Address of Prefect's pages as people reach it, where that is not the API's, such as "
        "https://prefect.example.org: for links to its runs.",
    )
    work_pool: str = Field(
        default="dataplatform",
        description="Prefect work pool that `dataplatform deploy` uses.",
    )
    work_pool_type: Literal["process", "docker", "kubernetes"] = Field(
        default="process",
        description="Where its flow runs work: a process beside the worker, a container, a pod (docs/scale.md).",
    )
    work_pool_job: Path | None = Field(
        default=None,
        description="docker, kubernetes: YAML file that says with which image, volumes and networks.",
    )
    linger: float = Field(
        default=300.0,
        ge=0,
        description="Seconds that embedded servers stay up after their last user has gone, so that the next "
        "command need not start them; `dataplatform stop` ends them at once.",
    )
    parallel: int = Field(
        default=4, ge=1, description="Entities of a source that are loaded at the same time."
    )
    processes: int = Field(
        default=0,
        ge=0,
        description="Processes that share the work on one large batch, from 250,000 records on. 0: one a core, four at "
        "most; 1: none beside the one that loads. Each takes about 100 MB.",
    )
    task_runner: str = Field(
        default="threads",
        description="Where the tasks of a run are done: `threads` of the process that runs the flow; `dask`: processes "
        "of this machine; or the address of a Dask scheduler, such as tcp://10.0.0.2:8786.",
    )
    http_timeout: float = Field(
        default=60.0,
        gt=0,
        description="Seconds until a request to a REST source is given up.",
    )
    retries: int = Field(
        default=3, ge=0, description="Tries of a task after a transient error (Prefect's retries)."
    )
    retry_delay: float = Field(
        default=5.0,
        ge=0,
        description="Seconds before the first retry; each next waits three times as long.",
    )
    secret_stores: str = Field(
        default="environment,docker,local,vault,prefect",
        description="Where secrets are looked for, the first that has one counts; `vault` needs its URL, `prefect` "
        "(its Secret blocks) a server that runs.",
    )
    vault_url: str | None = Field(default=None, description="Vault or OpenBao, such as http://openbao:8200.")
    vault_token: SecretStr | None = Field(default=None, description="Token for it.")
    vault_token_file: Path | None = Field(default=None, description="File that holds this token.")
    vault_role_id: str | None = Field(default=None, description="AppRole instead of a token: its role id.")
    vault_secret_id: SecretStr | None = Field(default=None, description="AppRole: its secret id.")
    vault_mount: str = Field(default="secret", description="Where the key-value engine is mounted.")
    vault_prefix: str = Field(
        default="dataplatform", description="Folder of our secrets in it; may be empty."
    )
    vault_namespace: str | None = Field(default=None, description="Namespace, where the server has them.")
    vault_kv: Literal[1, 2] = Field(default=2, description="Version of the key-value engine.")
    llm_url: str | None = Field(
        default=None,
        description="OpenAI-compatible API for auto_dw, such as http://localhost:11434/v1; without it, no LLM.",
    )
    llm_model: str = Field(default="gpt-4o-mini", description="Model that the LLM's server is asked for.")
    llm_key: SecretStr | None = Field(default=None, description="API key of the LLM's server.")
    llm_budget: int = Field(
        default=200_000,
        ge=0,
        description="Tokens that one `auto-dw evaluate --llm`, or one run of an experiment, may use at most.",
    )
    llm_timeout: float = Field(default=120.0, gt=0, description="Seconds until an answer is given up.")
    llm_samples: int = Field(
        default=3, ge=1, le=9, description="Answers asked for each table; agreement counts."
    )
    llm_values: bool = Field(
        default=False, description="Whether the LLM may see sample values; sensitive ones it never sees."
    )
    llm_prompt: str = Field(
        default="table",
        description="What the LLM is asked: `table`, `brief` (roles and private columns only, for small models), or "
        "a file of your own.",
    )
    mlflow_url: SecretStr | None = Field(
        default=None,
        description="MLflow's server, to which experiments go, such as http://mlflow:5000; HOME/mlflow when absent.",
    )
    backup_url: str | None = Field(
        default=None,
        description="Folder or fsspec URL that backups go to; HOME/backups when absent.",
    )
    backup_key: SecretStr | None = Field(
        default=None,
        description="Recovery key that opens backups (AGE-SECRET-KEY-…), where HOME/backup.key is not at hand.",
    )
    backup_keep: str = Field(
        default="7d,4w,6m",
        description="Which backups stay: the newest of so many days, weeks and months each, or `all`.",
    )
    backup_cron: str = Field(
        default="30 3 * * *",
        description="When the flow `backup` runs (UTC); `off`: never.",
    )
    upgrade_backup: bool = Field(
        default=True,
        description="Whether a new release makes a backup before it changes the platform's own tables.",
    )
    keep_runs_days: int = Field(
        default=90,
        ge=1,
        description="How many days runs stay on record, in an embedded Prefect server and in the schema audit; there, "
        "runs that rows of silver lead to stay for ever.",
    )
    web_host: str = Field(
        default="127.0.0.1",
        description="Address that the web pages listen on; `up` serves them unless it is `off`.",
    )
    web_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of the web pages: 8080, or with `up` another one where that is taken.",
    )
    web_hosts: str = Field(
        default="",
        description="Names under which the pages are reached, with commas between, such as data.example.org; "
        "`localhost` and addresses always are. A request under any other name is refused.",
    )
    web_auth: Literal["on", "off"] = Field(
        default="on",
        description="`off`: nobody need sign in; only where the pages listen on the loopback interface.",
    )
    web_trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies, with commas between: what they say of a request's client, "
        "scheme and user is believed.",
    )
    web_trusted_header: str | None = Field(
        default=None,
        description="Header in which these proxies name who has signed in with them, such as Remote-User.",
    )
    web_url: str | None = Field(
        default=None,
        description="Address of the web pages as people reach it, such as https://data.example.org: for links to them "
        "in Prefect, and where OIDC sends people back.",
    )
    web_oidc_issuer: str | None = Field(
        default=None,
        description="People may sign in with this OpenID Connect provider, such as https://auth.example.org "
        "(docs/web.md).",
    )
    web_oidc_client_id: str = Field(default="", description="Id of the pages there.")
    web_oidc_client_secret: SecretStr | None = Field(
        default=None, description="Their secret there; none of a public client."
    )
    web_oidc_scopes: str = Field(default="openid profile email", description="What is asked for there.")
    web_oidc_name: str = Field(
        default="preferred_username",
        description="Claim with the user's name here; `email` only where it is verified.",
    )
    web_oidc_groups: str = Field(
        default="",
        description="Who is let in by group: `admins=admin, family=read`. Others need a user of their name (Settings).",
    )
    web_oidc_groups_claim: str = Field(default="groups", description="Claim with a person's groups.")
    web_sql_url: SecretStr | None = Field(
        default=None,
        description="Postgres, as a role that may read gold and silver and nothing else: the SQL page asks as this "
        "role. Where the platform's own role may make roles, one is made and this is not needed.",
    )
    log_level: str = Field(default="INFO", description="Level of our log lines on stderr.")

    @field_validator("backup_cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        if value != "off" and len(value.split()) != 5:
            raise ValueError(f"{value!r} is no cron expression of five fields, nor off")
        return value

    @field_validator("web_url", "prefect_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (
            parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username
        ):
            raise ValueError(f"{value!r} is no address of pages, such as https://data.example.org")
        return value.rstrip("/") if value else None

    @property
    def home_path(self) -> Path:
        return self.home.expanduser().absolute()

    @property
    def prefect(self) -> PrefectApi | None:
        """A Prefect server that is not ours to start."""
        auth = self.prefect_api_auth.get_secret_value() if self.prefect_api_auth else None
        return PrefectApi(self.prefect_api_url, auth) if self.prefect_api_url else None

    @property
    def backup_location(self) -> str:
        return self.backup_url or str(self.home_path / "backups")

    @property
    def raw_location(self) -> str:
        return self.raw_url or str(self.home_path / "raw")


def load_settings() -> Settings:
    """Reads the environment; raises SettingsError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        variable = name if name.isupper() else f"DATAPLATFORM_{name.upper()}"
        raise SettingsError(
            f"the setting {variable} is wrong: {first['msg']}",
            f"correct {variable} in the environment or in .env (docs/settings.md lists them all)",
        ) from None
