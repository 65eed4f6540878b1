"""What is being understood of a WebSocket: a message that has begun, and the library's parser in the middle of it."""

import logging
from collections.abc import Iterable
from types import GeneratorType
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol

from webapp.sockets.client import Refusal

logger = logging.getLogger("uvicorn.error")

INVALID_DATA = 1007


class Reading:
    """Lasts while there is something to understand: between two messages a socket needs none."""

    def __init__(self, parser: Protocol) -> None:
        self.parser = parser
        self._message: bytearray | None = None

    @classmethod
    def begin(cls, max_message_bytes: int | None) -> "Reading":
        """Begin where no frame has."""
        return cls(Protocol(SERVER, max_size=max_message_bytes, logger=logger))

    def frames(self, data: bytes) -> Iterable[Frame]:
        """Return the frames that these bytes complete."""
        self.parser.receive_data(data)
        return cast("list[Frame]", self.parser.events_received())  # after the handshake they are frames

    def text(self, frame: Frame) -> str | None:
        """Return the text message that a frame completes; None if it does not. Raises `Refusal`."""
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return None
        self._message = self._message or bytearray()
        self._message += frame.data
        if not frame.fin:
            return None
        message, self._message = self._message, None
        return _decode(message)

    def is_between_messages(self) -> bool:
        """Whether nothing of a next message is there."""
        return self._message is None and _is_between_frames(self.parser)

    def end(self) -> None:
        """Free the parser: it refers to itself, and would wait for the garbage collector."""
        self.parser.parser.close()


def _is_between_frames(parser: Protocol) -> bool:
    """Whether the parser has nothing of a next frame: it then waits to know whether there is one at all."""
    waiting = cast("GeneratorType[None, None, None]", parser.parser)
    while isinstance(waiting.gi_yieldfrom, GeneratorType):
        waiting = waiting.gi_yieldfrom
    return waiting.__name__ == "at_eof"


def _decode(message: bytearray) -> str:
    """Return the text of a message. Raises `Refusal`."""
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise Refusal(INVALID_DATA, f"{error.reason} at position {error.start}") from error
