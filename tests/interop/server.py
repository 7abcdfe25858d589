"""A WebSocket server on Python's `websockets`, whose behaviour the client picks by the path.

README.md beside this file has the table of paths; `server.mjs` is the same server on Node's `ws`.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import json
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

# The library refuses messages of more than 4096 fragments by default; how finely our client may
# fragment is not what these tests ask. It reads the variable when it is imported.
os.environ.setdefault("WEBSOCKETS_MAX_FRAGMENTS", "1000000")

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Close
from websockets.http11 import Request, Response

MIB = 1024 * 1024
SUBPROTOCOLS = ["chat.v2", "chat.v1"]
FRAGMENTED_TEXT = "héllo wörld 🌍 fragmented"
PING_PAYLOAD = b"are you there"
MAX_BURST = 1_000_000
MAX_LARGE = 256 * MIB
# Longer than any close deadline a test would set, and still an end for a forgotten connection.
SILENCE_SECONDS = 120
# How long clients have to answer the Close that SIGINT brings.
SHUTDOWN_SECONDS = 3


class Refused(Exception):
    """The path asks for something that this server cannot do."""


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
    cork(ws, 0)


async def large(ws: ServerConnection, size: str) -> None:
    # 31 and 251 have no common factor, so that the pattern repeats every 251 bytes.
    period = bytes(i * 31 % 251 for i in range(251))
    await ws.send((period * (int(size) // 251 + 1))[: int(size)])


async def headers(ws: ServerConnection) -> None:
    assert ws.request is not None
    joined: dict[str, str] = {}
    for name, value in ws.request.headers.raw_items():
        name = name.lower()
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    await ws.send(json.dumps(joined))


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


def split(path: str) -> tuple[str, list[str], dict[str, list[str]]]:
    """Splits a request target into the route's name, its arguments and the query."""
    url = urlsplit(path)
    # A reason may contain anything, slashes too, so only two slashes separate.
    name, *arguments = url.path.lstrip("/").split("/", 2)
    return name, [unquote(argument) for argument in arguments], parse_qs(url.query)


def parse(path: str) -> tuple[str, list[str], dict[str, list[str]]]:
    """Splits a request target and refuses arguments that the route cannot obey."""
    name, arguments, query = split(path)
    try:
        if name == "burst" and not 0 <= int(arguments[0]) <= MAX_BURST:
            raise Refused(f"at most {MAX_BURST} messages")
        if name == "large" and not 0 <= int(arguments[0]) <= MAX_LARGE:
            raise Refused(f"at most {MAX_LARGE} bytes")
        if name == "deny" and not 200 <= int(arguments[0]) <= 599:
            raise Refused("status out of range")
        if name == "close" and int(arguments[0]) != 0:
            reason = "".join(arguments[1:])
            if len(reason.encode()) > 123:
                raise Refused("reason too long")
            Close(int(arguments[0]), reason).serialize()
    except (IndexError, ValueError, ProtocolError) as error:
        raise Refused(f"bad argument: {error}") from error
    return name, arguments, query


def cork(ws: ServerConnection, on: int) -> None:
    """Holds back small segments, so that what is written next leaves in one."""
    if hasattr(socket, "TCP_CORK"):
        raw = ws.transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


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
        cork(ws, 1)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--max-message", type=int, default=64 * MIB, metavar="BYTES")
    parser.add_argument("--tls-cert", metavar="FILE", help="speak wss with this chain, in PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="and this key")
    options = parser.parse_args()
    context = None
    if options.tls_cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key)
    host, _, port = options.listen.rpartition(":")

    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)

    server = await serve(
        handle,
        host,
        int(port),
        process_request=admit,
        select_subprotocol=select_subprotocol,
        compression=None,
        max_size=options.max_message,
        # A keepalive of the peer's would be one more thing that happens to our client.
        ping_interval=None,
        ssl=context,
    )
    port = server.server.sockets[0].getsockname()[1]
    scheme = "ws" if context is None else "wss"
    print(f"listening on {scheme}://{host}:{port}", flush=True)

    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(server.wait_closed(), SHUTDOWN_SECONDS)
    except TimeoutError:
        pass


asyncio.run(main())
