"""The log: an event is one line, as text, logfmt or JSON, whatever others have written into it."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

LogFormat = Literal["text", "logfmt", "json"]
LogLevel = Literal["info", "warning"]
REQUEST_ID: ContextVar[str | None] = ContextVar("REQUEST_ID", default=None)
"""Of the request that is being answered; whatever is logged meanwhile bears it."""

_BARE = re.compile(r"[\w./:@+-]+", re.ASCII)


def configuration(form: LogFormat, level: LogLevel) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes. Libraries only warn: at INFO they tell whole addresses."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LineFormatter, "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {"webapp": {"level": level.upper()}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
    }


class LineFormatter(logging.Formatter):
    """Makes a record a line; its `extra={"facts": {...}}` are values of their own."""

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        forms: dict[str, Callable[[dict[str, Any]], str]] = {"text": _as_text, "logfmt": _as_logfmt, "json": json.dumps}
        self._write = forms[form]

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; only a traceback has more than one, in text."""
        return self._write(self._facts_of(record))

    def _facts_of(self, record: logging.LogRecord) -> dict[str, Any]:
        request_id = REQUEST_ID.get()
        return {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **({"request": request_id} if request_id else {}),
            **getattr(record, "facts", {}),
            **({"exception": self.formatException(record.exc_info)} if record.exc_info else {}),
        }


def _as_text(facts: dict[str, Any]) -> str:
    time, level, logger, message = (facts.pop(name) for name in ("time", "level", "logger", "message"))
    traceback = facts.pop("exception", "").splitlines()
    line = f"{time} {level.upper()} {logger}: {_printable(message)} {_as_logfmt(facts)}".rstrip()
    return "\n".join([line, *(f"    {_printable(each)}" for each in traceback)])  # indented: no line begins like ours


def _as_logfmt(facts: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_value(str(value))}" for name, value in facts.items())


def _value(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _printable(text: str) -> str:
    """Write out what would move the cursor, colour the screen or begin another line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
