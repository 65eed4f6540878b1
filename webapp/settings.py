"""Settings from environment variables; the README's configuration table lists them."""

import re
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from webapp.logs import LogFormat, LogLevel

PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries these folders inside the package, a checkout beside it.
RESOURCES = PACKAGE if (PACKAGE / "templates").is_dir() else PACKAGE.parent
_ROOT_PATH = re.compile("(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_HOST_NAME = re.compile(r"\*|[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# With what the addresses of our own pages begin: below such a path nobody could tell whether a proxy has cut it off.
PLACES = frozenset(
    {"account", "accounts", "activity", "activity.csv", "api", "changes", "export.csv", "favicon.ico", "healthz"}
    | {"import", "invitation", "items", "live", "locations", "low", "messages", "metrics", "readyz", "sign-in"}
    | {"sign-out", "static", "status"}
)


class SetupError(Exception):
    """Something the operator can mend; its message says what is wrong and which line helps."""


class Settings(BaseSettings):
    """What the operator decides; every field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    database_url: str | None = None
    listen_database_url: str | None = None
    host: str = "127.0.0.1"
    open_to_all: bool = False
    port: int = Field(default=8000, ge=0, le=65535)
    web_concurrency: int = Field(default=1, ge=1)
    data_dir: Path | None = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    root_path: str = ""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_user_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,100}$")
    trusted_user_role: Literal["viewer", "editor"] | None = None
    timezone: ZoneInfo = ZoneInfo("UTC")
    max_connections: int = Field(default=20_000, ge=10)
    max_connections_per_address: int = Field(default=1_000, ge=1)
    requests_per_second: int = Field(default=200, ge=1)
    history_days: int | None = Field(default=None, ge=1, le=36_500)
    log_format: LogFormat = "text"
    log_level: LogLevel = "warning"

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(_host_name(host.strip()) for host in value.split(",") if host.strip())
        return value

    @field_validator("root_path")
    @classmethod
    def _check_root(cls, value: str) -> str:
        root = value.rstrip("/")
        if not _ROOT_PATH.fullmatch(root):
            message = f"{value!r} is not a path; it looks like /stock"
            raise ValueError(message)
        if (place := root[1:].partition("/")[0]) in PLACES:
            message = f"/{place} is a page of our own, and cannot be told from the path; take another, such as /stock"
            raise ValueError(message)
        return root

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(_network(proxy.strip()) for proxy in value.split(",") if proxy.strip())
        return value

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("timezone", mode="before")
    @classmethod
    def _find_zone(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"no time zone is called {value!r}; use a name such as Europe/Berlin"
            raise ValueError(message) from error

    @model_validator(mode="after")
    def _check_header(self) -> Self:
        if self.trusted_user_header and not self.trusted_proxies:
            message = "TRUSTED_USER_HEADER is heard only from the addresses in TRUSTED_PROXIES, and those are none"
            raise ValueError(message)
        return self

    @property
    def host_is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches it may come in, as long as there are no accounts.

        Where that was said, or where only this machine can connect and nothing speaks of others who come through it.
        """
        serves_others = bool(self.trusted_proxies) or not all(map(is_loopback, self.allowed_hosts))
        is_private = self.host_is_loopback and not serves_others
        return not self.trusted_user_header and (self.open_to_all or is_private)


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address without brackets, can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host_name(entry: str) -> str:
    """Read an entry of ALLOWED_HOSTS as browsers send it: small letters, xn-- for other alphabets, or an address."""
    try:
        return ip_address(entry.removeprefix("[").removesuffix("]")).compressed
    except ValueError:
        pass
    try:
        name = entry.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if not _HOST_NAME.fullmatch(name):
        message = f"{entry!r} is not a host name; leave out scheme, port and path: stock.example.com, or * for any"
        raise ValueError(message)
    return name


def _network(entry: str) -> str:
    """Read an entry of TRUSTED_PROXIES. No name is one: who asks is known by address only."""
    try:
        return str(ip_network(entry))
    except ValueError as error:
        message = f"{entry!r} is not an address or a network; they look like 10.0.0.5 and 10.0.0.0/8"
        raise ValueError(message) from error


@cache
def load_settings() -> Settings:
    """Read the environment once; `SetupError` names each variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, part['loc'])).upper()}: {part['msg'].removeprefix('Value error, ')}"
            for part in error.errors()
        ]
        raise SetupError("\n".join(lines)) from error
