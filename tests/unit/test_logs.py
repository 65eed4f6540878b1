import json
import logging
import shlex
import sys

import pytest

from webapp.logs import REQUEST_ID, LineFormatter, LogFormat

HOSTILE = 'x\n2026-01-01T00:00:00.000+00:00 ERROR forged: line\x1b[31m\x9b2J\u202e\u2028" a=b \ud800'


def line(form: LogFormat, message: str = "said", **facts: object) -> str:
    record = logging.makeLogRecord({"name": "webapp.x", "levelname": "INFO", "msg": message, "facts": facts})
    return LineFormatter(form).format(record)


def logfmt(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))


@pytest.mark.parametrize("form", ["text", "logfmt", "json"])
def test_hostile_text_is_one_line_that_no_terminal_acts_upon(form: LogFormat) -> None:
    told = line(form, HOSTILE, path=HOSTILE)
    assert told.isprintable()
    told.encode()  # a lone surrogate would not be written at all


def test_values_are_told_apart_whatever_is_in_them() -> None:
    assert json.loads(line("json", HOSTILE, path=HOSTILE))["path"] == HOSTILE
    assert logfmt(line("logfmt", path='/a b="c" d=e', ms=1.5)).items() >= {"path": '/a b="c" d=e', "ms": "1.5"}.items()


def test_text_is_for_people() -> None:
    told = line("text", "answered", path="/items", status=200)
    assert told.endswith("+00:00 INFO webapp.x: answered path=/items status=200")


@pytest.mark.parametrize("form", ["text", "logfmt", "json"])
def test_a_traceback_cannot_forge_a_line(form: LogFormat) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("webapp", logging.ERROR, "", 0, "a defect", (), sys.exc_info())
    first, *others = LineFormatter(form).format(record).split("\n")
    assert "a defect" in first
    assert bool(others) is (form == "text")
    assert all(each.startswith("    ") and each.isprintable() for each in others)


def test_what_is_logged_for_a_request_bears_its_id() -> None:
    token = REQUEST_ID.set("abc")
    try:
        assert " request=abc" in line("text")
    finally:
        REQUEST_ID.reset(token)
    assert "request=" not in line("text")
