"""How a start that cannot be is told: what the operator can mend in one message, defects with their traceback."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.settings import SetupError


class PlainSetupErrors:
    """ASGI middleware: a `SetupError` at start is its message alone, also under plain `uvicorn webapp.main:app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold back the framework's word of failure until it is known what failed."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold_failure(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                held.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except SetupError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            for message in held:
                await send(message)
            raise
