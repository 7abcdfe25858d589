"""A WebSocket server on Python's `websockets`, whose behaviour the client picks by the path.

README.md beside this file has the table of paths; `server_aiohttp.py` is the same server on
aiohttp, and `server.mjs` on Node's `ws`.
"""

from __future__ import annotations

import asyncio
import http
import json
import os
from collections.abc import Callable, Sequence

# The library refuses messages of more than 4096 fragments by default; how finely our client may
# fragment is not what these tests ask. It reads the variable when it is imported.
os.environ.setdefault("WEBSOCKETS_MAX_FRAGMENTS", "1000000")

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.http11 import Request, Response

from paths import (
    FRAGMENTED_TEXT,
    PING_PAYLOAD,
    SHUTDOWN_SECONDS,
    SILENCE_SECONDS,
    SUBPROTOCOLS,
    Options,
    Refused,
    cork,
    join,
    large_message,
    parse,
    split,
    stop_at_signals,
)


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def close(ws: ServerConnection, code: str, reason: str = "") -> None:
    if int(code) == 0:
        # `close()` always sends a code, so the frame is made a level below.
        async with ws.send_context():
            ws.protocol.send_close()
    else:
        await ws.close(int(code), reason)


async def fragments(ws: ServerConnection) -> None:
    # One byte a fragment splits every character of more than one byte. The library ends the
    # message with an empty final fragment.
    await ws.send([bytes([byte]) for byte in FRAGMENTED_TEXT.encode()], text=True)


async def ping(ws: ServerConnection) -> None:
    pong_received = await ws.ping(PING_PAYLOAD)
    await pong_received
    await ws.send("pong received")


async def burst(ws: ServerConnection, count: str) -> None:
    # `admit` corked the socket before the 101 was written.
    for i in range(int(count)):
        await ws.send(str(i))
    cork(ws.transport, 0)


async def large(ws: ServerConnection, size: str) -> None:
    await ws.send(large_message(int(size)))


async def headers(ws: ServerConnection) -> None:
    assert ws.request is not None
    await ws.send(json.dumps(join(ws.request.headers.raw_items())))


async def half(ws: ServerConnection) -> None:
    ws.transport.abort()


async def silent_close(ws: ServerConnection) -> None:
    # The library answers a Close by itself, as soon as it reads it; so it never reads.
    ws.transport.pause_reading()
    try:
        await asyncio.wait_for(ws.wait_closed(), SILENCE_SECONDS)
    except TimeoutError:
        pass
    finally:
        ws.transport.abort()


# After the handler ends, the library closes the connection with 1000.
ROUTES: dict[str, Callable[..., object]] = {
    "echo": echo,
    "subprotocol": echo,
    "close": close,
    "fragments": fragments,
    "ping": ping,
    "burst": burst,
    "large": large,
    "headers": headers,
    "half": half,
    "silent-close": silent_close,
}


def plain(status: int, body: str, extra: dict[str, str] | None = None) -> Response:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unregistered"
    content = body.encode()
    return Response(
        status,
        phrase,
        Headers(
            {
                "Connection": "close",
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Length": str(len(content)),
                **(extra or {}),
            }
        ),
        content,
    )


def admit(ws: ServerConnection, request: Request) -> Response | None:
    try:
        name, arguments, query = parse(request.path)
    except Refused as refused:
        return plain(400, str(refused))
    if name == "deny":
        return plain(int(arguments[0]), f"denied: {arguments[0]}", {"X-Reason": "denied"})
    if name == "redirect":
        return plain(302, "moved", {"Location": "/echo"})
    if name not in ROUTES:
        return plain(404, f"no such path: {request.path}")
    # Compression is an argument of the whole server; the path has the last word here, before the
    # library looks at the client's offers.
    if name == "echo" and query.get("deflate") == ["1"]:
        ws.protocol.available_extensions = enable_server_permessage_deflate(None)
    if name == "burst":
        cork(ws.transport, 1)
    return None


def select_subprotocol(ws: ServerConnection, offered: Sequence[str]) -> str | None:
    assert ws.request is not None
    if split(ws.request.path)[0] != "subprotocol":
        return None
    return next((ours for ours in SUBPROTOCOLS if ours in offered), None)


async def handle(ws: ServerConnection) -> None:
    assert ws.request is not None
    name, arguments, _ = split(ws.request.path)
    try:
        await ROUTES[name](ws, *arguments)
    except ConnectionClosed:
        # How our client ends is the client's test to judge.
        pass


async def main() -> None:
    options = Options(__doc__)
    stop = stop_at_signals()
    server = await serve(
        handle,
        options.host,
        options.port,
        process_request=admit,
        select_subprotocol=select_subprotocol,
        compression=None,
        max_size=options.max_message,
        # A keepalive of the peer's would be one more thing that happens to our client.
        ping_interval=None,
        ssl=options.context,
    )
    options.say_where(server.server.sockets[0].getsockname()[1])

    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(server.wait_closed(), SHUTDOWN_SECONDS)
    except TimeoutError:
        pass


asyncio.run(main())
