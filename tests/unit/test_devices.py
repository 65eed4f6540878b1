import pytest

from webapp.access.devices import device_name

GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {GECKO} Chrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {GECKO} Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 15) {GECKO} Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Mac"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.1",
            "Safari on iPhone",
        ),
    ],
)
def test_a_device_is_called_by_its_browser_and_its_system(agent: str, name: str) -> None:
    assert device_name(agent) == name


@pytest.mark.parametrize(("agent", "name"), [("curl/8.5.0", "curl/8.5.0"), ("Linux", "Linux"), ("", "Unknown device")])
def test_what_is_no_known_browser_is_called_what_it_says(agent: str, name: str) -> None:
    assert device_name(agent) == name
