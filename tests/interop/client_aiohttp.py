"""aiohttp's client, with as much of the face of `websockets` as the checks of `client.py` use."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Generator
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from websockets.exceptions import ConnectionClosed

LARGEST_WINDOW = 15


class Unable(Exception):
    """The library cannot do what a check asks for, which is then skipped."""


class Connection:
    def __init__(self, session: ClientSession, socket: ClientWebSocketResponse) -> None:
        self.session = session
        self.socket = socket
        self.subprotocol = socket.protocol
        # The library has no public name for the response; the request hangs on it.
        self.response = socket._response
        self.request = self.response.request_info
        self.close_code: int | None = None
        self.close_reason = ""

    async def send(self, message: Any, text: bool | None = None) -> None:
        try:
            if isinstance(message, str):
                await self.socket.send_str(message)
            elif not isinstance(message, bytes):
                await self.close()
                raise Unable("aiohttp does not fragment")
            else:
                opcode = WSMsgType.TEXT if text else WSMsgType.BINARY
                await self.socket.send_frame(message, opcode)
        except ConnectionError as error:
            raise ConnectionClosed(None, None) from error

    async def recv(self) -> str | bytes:
        message = await self.socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return message.data
        # The library's own `close_code` is 1006 where its answer could not be written.
        if message.type is WSMsgType.CLOSE:
            self.close_code, self.close_reason = message.data, message.extra or ""
        await self.session.close()
        raise ConnectionClosed(None, None)

    async def ping(self, payload: bytes) -> Awaitable[None]:
        await self.socket.ping(payload)
        return self.expect_pong(payload)

    async def expect_pong(self, payload: bytes) -> None:
        message = await self.socket.receive()
        if message.type is not WSMsgType.PONG or message.data != payload:
            raise AssertionError(f"no such pong: {message}")

    async def pong(self, payload: bytes) -> None:
        await self.socket.pong(payload)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code=code, message=reason.encode())
        self.close_code = self.close_code or self.socket.close_code
        await self.session.close()

    def send_context(self) -> Any:
        raise Unable("aiohttp always closes with a code")


class connect:
    """Awaited or entered, it connects, as its namesake of `websockets` does."""

    def __init__(
        self,
        url: str,
        *,
        ssl: ssl.SSLContext | None = None,
        subprotocols: list[str] | None = None,
        offer: dict[str, Any] | None = None,
    ) -> None:
        window = LARGEST_WINDOW
        if offer is not None:
            window = offer.get("server_max_window_bits", LARGEST_WINDOW)
            if offer.keys() - {"server_max_window_bits"}:
                raise Unable(f"aiohttp cannot offer {offer}")
        self.url = url
        self.options: dict[str, Any] = {
            "protocols": subprotocols or (),
            "compress": window if offer is not None else 0,
            # The checks look for the pongs.
            "autoping": False,
            "max_msg_size": 0,
        }
        if ssl is not None:
            self.options["ssl"] = ssl

    async def open(self) -> Connection:
        session = ClientSession()
        try:
            socket = await session.ws_connect(self.url, **self.options)
        except BaseException:
            await session.close()
            raise
        self.connection = Connection(session, socket)
        return self.connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self.open().__await__()

    async def __aenter__(self) -> Connection:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
