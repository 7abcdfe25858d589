"""The server of `server.py`, on aiohttp.

The library neither fragments a message nor closes without a code, so such frames are made here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

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
    stop_at_signals,
)

TEXT, CONTINUATION, CLOSE, FIN = 0x01, 0x00, 0x08, 0x80


def send_frame(request: web.Request, first_byte: int, payload: bytes) -> None:
    assert request.transport is not None and len(payload) < 126
    request.transport.write(bytes([first_byte, len(payload)]) + payload)


async def echo(ws: web.WebSocketResponse, _: web.Request) -> None:
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)


async def close(
    ws: web.WebSocketResponse, request: web.Request, code: str, reason: str = ""
) -> None:
    if int(code) == 0:
        send_frame(request, FIN | CLOSE, b"")
        await ws.receive()
    else:
        await ws.close(code=int(code), message=reason.encode())


async def fragments(_: web.WebSocketResponse, request: web.Request) -> None:
    # One byte a fragment splits every character of more than one byte.
    first, *middle, last = (bytes([byte]) for byte in FRAGMENTED_TEXT.encode())
    send_frame(request, TEXT, first)
    for byte in middle:
        send_frame(request, CONTINUATION, byte)
    send_frame(request, FIN | CONTINUATION, last)


async def ping(ws: web.WebSocketResponse, _: web.Request) -> None:
    await ws.ping(PING_PAYLOAD)
    answer = await ws.receive()
    if answer.type is WSMsgType.PONG and answer.data == PING_PAYLOAD:
        await ws.send_str("pong received")


async def burst(ws: web.WebSocketResponse, request: web.Request, count: str) -> None:
    # `handle` corked the socket before the 101 was written.
    for i in range(int(count)):
        await ws.send_str(str(i))
    assert request.transport is not None
    cork(request.transport, 0)


async def large(ws: web.WebSocketResponse, _: web.Request, size: str) -> None:
    await ws.send_bytes(large_message(int(size)))


async def headers(ws: web.WebSocketResponse, request: web.Request) -> None:
    fields = ((name.decode(), value.decode()) for name, value in request.raw_headers)
    await ws.send_str(json.dumps(join(fields)))


async def half(_: web.WebSocketResponse, request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def silent_close(_: web.WebSocketResponse, request: web.Request) -> None:
    # The library answers a Close when it is received; so nobody receives.
    await asyncio.sleep(SILENCE_SECONDS)
    assert request.transport is not None
    request.transport.abort()


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

OPTIONS = web.AppKey("options", Options)
OPEN = web.AppKey("open", set[web.WebSocketResponse])


async def handle(request: web.Request) -> web.StreamResponse:
    try:
        name, arguments, query = parse(request.raw_path)
    except Refused as refused:
        return web.Response(status=400, text=str(refused))
    if name == "deny":
        text = f"denied: {arguments[0]}"
        return web.Response(status=int(arguments[0]), text=text, headers={"X-Reason": "denied"})
    if name == "redirect":
        return web.Response(status=302, text="moved", headers={"Location": "/echo"})
    if name not in ROUTES:
        return web.Response(status=404, text=f"no such path: {request.raw_path}")
    ws = web.WebSocketResponse(
        protocols=SUBPROTOCOLS if name == "subprotocol" else (),
        compress=name == "echo" and query.get("deflate") == ["1"],
        autoping=name != "ping",
        max_msg_size=request.app[OPTIONS].max_message,
    )
    if not ws.can_prepare(request):
        headers = {"Upgrade": "websocket", "Connection": "close, upgrade"}
        return web.Response(status=426, headers=headers, text="this server speaks WebSocket\n")
    if name == "burst":
        assert request.transport is not None
        cork(request.transport, 1)
    await ws.prepare(request)
    request.app[OPEN].add(ws)
    try:
        await ROUTES[name](ws, request, *arguments)
        await ws.close()
    except ConnectionError:
        # How our client ends is the client's test to judge.
        pass
    finally:
        request.app[OPEN].discard(ws)
    return ws


async def say_goodbye(app: web.Application) -> None:
    await asyncio.gather(*(ws.close(code=WSCloseCode.GOING_AWAY) for ws in app[OPEN]))


async def main() -> None:
    options = Options(__doc__)
    stop = stop_at_signals()
    app = web.Application()
    app[OPTIONS] = options
    app[OPEN] = set()
    app.router.add_get("/{path:.*}", handle)
    app.on_shutdown.append(say_goodbye)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, ssl_context=options.context)
    await site.start()
    options.say_where(runner.addresses[0][1])

    await stop.wait()
    await runner.cleanup()


asyncio.run(main())
