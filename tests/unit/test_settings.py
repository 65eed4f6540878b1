from typing import Any
from zoneinfo import ZoneInfo

import pytest

from webapp.main import create_app
from webapp.postgres.database import locate
from webapp.settings import Settings, SetupError, load_settings


@pytest.fixture(autouse=True)
def forget_settings() -> None:
    load_settings.cache_clear()


def test_the_application_is_put_together_without_a_database() -> None:
    app = create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/nothing"))
    assert app.url_path_for("index") == "/"


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("", ()),
        (" , ", ()),
        ("stock.example.com, B.example", ("stock.example.com", "b.example")),
        ("stock.example.com.", ("stock.example.com",)),
        ("Bücher.example", ("xn--bcher-kva.example",)),
        ("192.168.1.5,[FE80::0:1]", ("192.168.1.5", "fe80::1")),
        ("*", ("*",)),
    ],
)
def test_allowed_hosts_are_read_as_browsers_send_them(
    monkeypatch: pytest.MonkeyPatch, value: str, hosts: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", value)
    assert load_settings().allowed_hosts == hosts


@pytest.mark.parametrize(
    "value", ["https://stock.example.com", "a.example:8000", "*.example.com", "a b", "a..b", "a/b"]
)
def test_what_is_no_host_name_is_refused_with_the_line_that_helps(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", value)
    with pytest.raises(SetupError, match=r"ALLOWED_HOSTS: .*leave out scheme, port and path"):
        load_settings()


@pytest.mark.parametrize("address", ["postgresql://me:s3%cret@host/stock", "postgres//me:s3%25cret@host"])
def test_an_address_that_cannot_be_read_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(SetupError, match="% is written as %25") as refused:
        locate(Settings(database_url=address))
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(("value", "root"), [("/", ""), ("/stock/", "/stock"), ("/a/b.c", "/a/b.c")])
def test_a_root_path_has_no_slash_at_its_end(value: str, root: str) -> None:
    assert Settings(root_path=value).root_path == root


@pytest.mark.parametrize("value", ["stock", "https://a.example/stock", "/..", "/a//b", '/"><script>', "/a b", "//evil"])
def test_what_is_no_root_path_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROOT_PATH", value)
    with pytest.raises(SetupError, match=r"ROOT_PATH: .*looks like /stock"):
        load_settings()


@pytest.mark.parametrize("value", ["/items", "/api/v2", "/live/", "/sign-in"])
def test_a_path_that_begins_as_an_own_page_does_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROOT_PATH", value)
    with pytest.raises(SetupError, match=r"ROOT_PATH: .*is a page of our own.*such as /stock"):
        load_settings()


def test_trusted_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.5, 192.168.0.0/16,::1")
    assert load_settings().trusted_proxies == ("10.0.0.5/32", "192.168.0.0/16", "::1/128")


@pytest.mark.parametrize("value", ["*", "proxy.example.com", "10.0.0.1/8", "10.0.0.1:80"])
def test_whoever_has_no_address_is_not_trusted(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(SetupError, match=r"TRUSTED_PROXIES: .*10.0.0.0/8"):
        load_settings()


@pytest.mark.parametrize("value", ["Mars/Phobos", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TIMEZONE", value)
    with pytest.raises(SetupError, match=r"^TIMEZONE: no time zone is called .*Europe/Berlin$"):
        load_settings()


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "65536")
    monkeypatch.setenv("TIMEZONE", "nowhere")
    with pytest.raises(SetupError, match=r"(?s)PORT: .*TIMEZONE: "):
        load_settings()


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PORT", "TIMEZONE"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.database_url, settings.port, settings.timezone) == (None, 8000, ZoneInfo("UTC"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.3.2.1", "::1"])
def test_only_this_machine_reaches_a_loopback_address(host: str) -> None:
    assert Settings(host=host).host_is_loopback


PROXIED = {"trusted_proxies": "127.0.0.1"}


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        ({}, True),
        ({"allowed_hosts": "localhost,127.0.0.1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"allowed_hosts": "localhost,stock.example.com"}, False),
        ({"allowed_hosts": "*"}, False),
        (PROXIED, False),
        ({"host": "0.0.0.0", "open_to_all": True}, True),
        (PROXIED | {"allowed_hosts": "stock.example.com", "open_to_all": True}, True),
        (PROXIED | {"trusted_user_header": "X-Remote-User", "open_to_all": True}, False),
    ],
)
def test_without_being_told_it_is_open_only_where_nobody_comes_from_elsewhere(
    settings: dict[str, Any], *, is_open: bool
) -> None:
    assert Settings(**settings).is_open is is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "127.0.0.1.example.com", "localhost.example.com"])
def test_others_reach_any_other_address(host: str) -> None:
    assert not Settings(host=host).host_is_loopback
