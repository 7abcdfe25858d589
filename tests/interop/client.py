"""Checks of an echo server with the clients of Python: `websockets`, or aiohttp's.

Prints one line a check, `ok NAME`, `skipped NAME: why` where the client cannot do it, or `FAILED
NAME: why`, then `N passed, N failed, N skipped`, and exits with 1 if any failed. `client.mjs` has
the same checks, by the same names, with the clients of Node.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import os
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode

import client_aiohttp
from client_aiohttp import Unable

MIB = 1024 * 1024
CHECK_SECONDS = 60
GOING_AWAY_SECONDS = 120
MULTI_BYTE = "Grüße, привет, こんにちは"
EMOJI = "👋🏽 from a 👩‍👩‍👧‍👧 with 🏳️‍🌈"

Check = Callable[["Server"], Awaitable[None]]
CHECKS: dict[str, Check] = {}


class Server:
    """The server under test, and the client that tests it, as the command line describes them."""

    def __init__(self, url: str, client: str, max_message: int, ca: str | None) -> None:
        self.url = url
        self.client = client
        self.max_message = max_message
        # Without TLS there is nobody to trust.
        self.context = ssl.create_default_context(cafile=ca) if ca is not None else None

    def connect(self, *, offer: dict[str, Any] | None = None, **options: Any) -> Any:
        """Connects, and offers to compress with these parameters, if any."""
        if self.context is not None:
            options["ssl"] = self.context
        if self.client == "aiohttp":
            return client_aiohttp.connect(self.url, offer=offer, **options)
        if offer is not None:
            parameters = {"client_max_window_bits": True, **offer}
            options["extensions"] = [ClientPerMessageDeflateFactory(**parameters)]
        # The limit is on what the server sends back; without a keepalive nothing happens that a
        # check did not ask for; without a proxy nobody stands between.
        return connect(
            self.url, compression=None, max_size=None, ping_interval=None, proxy=None, **options
        )

    def http_connection(self) -> http.client.HTTPConnection:
        url = urlsplit(self.url)
        host, port = url.hostname or "", url.port
        if self.context is not None:
            return http.client.HTTPSConnection(host, port, timeout=10, context=self.context)
        return http.client.HTTPConnection(host, port, timeout=10)


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"{what}: got {brief(got)}, wanted {brief(wanted)}")


def brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)"


async def expect_echo(ws: ClientConnection, message: str | bytes) -> None:
    await ws.send(message)
    expect("echo", await ws.recv(), message)


async def expect_end(ws: ClientConnection, code: int) -> None:
    """Reads until the connection ends, and expects the server's Close to carry `code`."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        expect("close code", ws.close_code, code)


def pattern(size: int) -> bytes:
    """Bytes in which any lost, repeated or wrongly unmasked part shows."""
    return (bytes(i * 31 % 251 for i in range(251)) * (size // 251 + 1))[:size]


@check
async def ascii_text_comes_back(server: Server) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, "hello")


@check
async def multi_byte_text_comes_back(server: Server) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, MULTI_BYTE)


@check
async def emoji_come_back(server: Server) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, EMOJI)


@check
async def an_empty_text_comes_back(server: Server) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, "")


def check_binary(name: str, size: Callable[[Server], int]) -> None:
    async def function(server: Server) -> None:
        async with server.connect() as ws:
            await expect_echo(ws, pattern(size(server)))

    CHECKS[name] = function


# Around the borders between the three encodings of a payload length, and at the limit.
for size in (0, 1, 125, 126, 127, 65535, 65536, MIB):
    check_binary(f"binary_of_{size}_bytes_comes_back", lambda _, size=size: size)
check_binary("binary_at_the_limit_comes_back", lambda server: server.max_message)


@check
async def text_split_inside_characters_comes_back(server: Server) -> None:
    text = MULTI_BYTE + EMOJI
    async with server.connect() as ws:
        await ws.send([bytes([byte]) for byte in text.encode()], text=True)
        expect("echo", await ws.recv(), text)


@check
async def fragmented_binary_comes_back(server: Server) -> None:
    data = pattern(300_000)
    async with server.connect() as ws:
        # Fragments of all three length encodings, and empty ones.
        await ws.send([b"", data[:100], data[100:1000], b"", data[1000:200_000], data[200_000:]])
        expect("echo", await ws.recv(), data)


@check
async def a_thousand_pipelined_messages_come_back_in_order(server: Server) -> None:
    messages = [f"message {i}" for i in range(1000)]
    async with server.connect() as ws:

        async def send() -> None:
            for message in messages:
                await ws.send(message)

        async def receive() -> list[str | bytes]:
            return [await ws.recv() for _ in messages]

        _, received = await asyncio.gather(send(), receive())
        expect("echoes", received, messages)


@check
async def the_pong_repeats_the_ping_payload(server: Server) -> None:
    async with server.connect() as ws:
        # The library completes the ping if and only if a pong with the same payload arrives.
        await (await ws.ping(b"are you there"))


@check
async def an_empty_ping_gets_an_empty_pong(server: Server) -> None:
    async with server.connect() as ws:
        await (await ws.ping(b""))


@check
async def a_ping_of_125_bytes_gets_its_pong(server: Server) -> None:
    async with server.connect() as ws:
        await (await ws.ping(pattern(125)))


@check
async def a_ping_inside_a_fragmented_message_gets_its_pong(server: Server) -> None:
    async with server.connect() as ws:

        async def fragments() -> AsyncIterator[str]:
            yield "before"
            # The rest of the message waits for the pong, so the server cannot wait for the rest.
            await (await ws.ping(b"in between"))
            yield " and after"

        await ws.send(fragments())
        expect("echo", await ws.recv(), "before and after")


@check
async def an_unsolicited_pong_is_ignored(server: Server) -> None:
    async with server.connect() as ws:
        await ws.pong(b"nobody asked")
        await expect_echo(ws, "still there")


async def expect_close_echo(server: Server, code: int, reason: str) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, "open")
        await ws.close(code, reason)
        expect("close code", ws.close_code, code)
        # 5.5.1 lets the answer repeat the code; of the reason it says nothing.
        if ws.close_reason not in ("", reason):
            raise AssertionError(f"close reason: got {brief(ws.close_reason)}")


@check
async def a_close_with_1000_and_a_reason_is_answered(server: Server) -> None:
    await expect_close_echo(server, 1000, "all done, tschüß")


@check
async def a_close_with_3000_is_answered(server: Server) -> None:
    await expect_close_echo(server, 3000, "")


@check
async def a_close_with_4999_is_answered(server: Server) -> None:
    await expect_close_echo(server, 4999, "r" * 123)


@check
async def a_close_without_a_code_is_answered_without_one(server: Server) -> None:
    async with server.connect() as ws:
        # `close()` always sends a code, so the frame is made a level below.
        async with ws.send_context():
            ws.protocol.send_close()
        expect("close code", ws.close_code, CloseCode.NO_STATUS_RCVD)


# The connections of the next checks are the server's to end. Leaving an `async with` would close
# them once more, which asyncio's transport does not survive if it was lost while it had data to
# send.


@check
async def a_message_over_the_limit_closes_with_1009(server: Server) -> None:
    ws = await server.connect()
    try:
        await ws.send(pattern(server.max_message + 1))
    except ConnectionClosed:
        # The server need not read the message to the end.
        pass
    await expect_end(ws, CloseCode.MESSAGE_TOO_BIG)


@check
async def fragments_over_the_limit_close_with_1009(server: Server) -> None:
    data = pattern(server.max_message)
    half = len(data) // 2
    ws = await server.connect()
    try:
        await ws.send([data[:half], data[half:], b"!"])
    except ConnectionClosed:
        pass
    await expect_end(ws, CloseCode.MESSAGE_TOO_BIG)


@check
async def text_that_is_not_utf8_closes_with_1007(server: Server) -> None:
    ws = await server.connect()
    await ws.send(b"caf\xe9 au lait", text=True)
    await expect_end(ws, CloseCode.INVALID_DATA)


@check
async def text_that_ends_inside_a_character_closes_with_1007(server: Server) -> None:
    ws = await server.connect()
    # The library adds an empty final fragment, so the server may close in between.
    try:
        await ws.send([b"caf\xc3", b""], text=True)
    except ConnectionClosed:
        pass
    await expect_end(ws, CloseCode.INVALID_DATA)


@check
async def plain_http_gets_426(server: Server) -> None:
    url = urlsplit(server.url)

    def get() -> None:
        connection = server.http_connection()
        try:
            connection.request("GET", url.path or "/")
            response = connection.getresponse()
            expect("status", response.status, 426)
            expect("Upgrade", (response.getheader("Upgrade") or "").lower(), "websocket")
            connection_options = (response.getheader("Connection") or "").lower()
            expect("`close` in Connection", "close" in connection_options, True)
            response.read()
        finally:
            connection.close()

    await asyncio.to_thread(get)


@check
async def version_8_gets_426_and_the_version_to_use(server: Server) -> None:
    url = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=server.context)
    try:
        writer.write(
            f"GET {url.path or '/'} HTTP/1.1\r\n"
            f"Host: {url.netloc}\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 8\r\n"
            "\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.rstrip().split("\r\n")
        expect("status", status_line.split(" ")[1], "426")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        expect("Sec-WebSocket-Version", fields.get("sec-websocket-version"), "13")
    finally:
        writer.close()


@check
async def twenty_connections_at_once_all_get_their_echoes(server: Server) -> None:
    async def converse(number: int) -> None:
        async with server.connect() as ws:
            for i in range(50):
                await expect_echo(ws, f"connection {number}, message {i}")
                await expect_echo(ws, pattern(number * 100 + i))

    await asyncio.gather(*(converse(number) for number in range(20)))


@check
async def a_compression_offer_is_declined(server: Server) -> None:
    async with server.connect(offer={}) as ws:
        assert ws.request is not None and ws.response is not None
        offer = ws.request.headers.get("Sec-WebSocket-Extensions", "")
        expect("the offer was made", "permessage-deflate" in offer, True)
        expect("extensions", ws.response.headers.get("Sec-WebSocket-Extensions"), None)
        await expect_echo(ws, "compressible " * 1000)


@check
async def a_subprotocol_offer_is_declined(server: Server) -> None:
    async with server.connect(subprotocols=["chat.v2", "chat.v1"]) as ws:
        expect("subprotocol", ws.subprotocol, None)
        await expect_echo(ws, "hello")


# --- Checks of a server that compresses --------------------------------------------------------

DEFLATE_CHECKS: dict[str, Check] = {}

# What the client offers, by name: the server must agree, and compress accordingly.
DEFLATE_OFFERS: dict[str, dict[str, Any]] = {
    "by_default": {},
    "without_server_context_takeover": {"server_no_context_takeover": True},
    "without_client_context_takeover": {"client_no_context_takeover": True},
    "without_any_context_takeover": {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
    },
    "with_a_small_server_window": {"server_max_window_bits": 9},
    "with_a_small_client_window": {"client_max_window_bits": 9},
    "with_small_windows": {"server_max_window_bits": 10, "client_max_window_bits": 12},
}


def check_of_offer(name: str, parameters: dict[str, Any]) -> None:
    async def converse(server: Server) -> None:
        async with connect_compressed(server, parameters) as ws:
            for round_ in range(3):
                for message in ("", "short", f"compressible {round_} " * 1000, MULTI_BYTE * 100):
                    await expect_echo(ws, message)
                await expect_echo(ws, pattern(70_000 + round_))
                await expect_echo(ws, os.urandom(20_000))

    async def fragment(server: Server) -> None:
        async with connect_compressed(server, parameters) as ws:
            for _ in range(3):
                await ws.send(f"fragment {number} " * 20 for number in range(20))
                expected = "".join(f"fragment {number} " * 20 for number in range(20))
                expect("fragments", await ws.recv(), expected)

    DEFLATE_CHECKS[f"messages_are_echoed_{name}"] = converse
    DEFLATE_CHECKS[f"fragments_are_echoed_{name}"] = fragment


@contextlib.asynccontextmanager
async def connect_compressed(
    server: Server, offer: dict[str, Any]
) -> AsyncIterator[ClientConnection]:
    async with server.connect(offer=offer) as ws:
        assert ws.response is not None
        answer = ws.response.headers.get("Sec-WebSocket-Extensions", "")
        expect("the offer was accepted", "permessage-deflate" in answer, True)
        yield ws


for offer_name, offer in DEFLATE_OFFERS.items():
    check_of_offer(offer_name, offer)


async def a_bomb_closes_with_1009(server: Server) -> None:
    async with server.connect(offer={}) as ws:
        await ws.send(bytes(server.max_message + 1))
        await expect_end(ws, CloseCode.MESSAGE_TOO_BIG)


DEFLATE_CHECKS["a_bomb_closes_with_1009"] = a_bomb_closes_with_1009


async def await_going_away(server: Server) -> None:
    async with server.connect() as ws:
        await expect_echo(ws, "open")
        print("connected", flush=True)
        await expect_end(ws, CloseCode.GOING_AWAY)


async def outcome(name: str, function: Check, server: Server, seconds: int) -> str:
    """Runs a check, says how it went, and returns the first word of that."""
    try:
        async with asyncio.timeout(seconds):
            await function(server)
    except Unable as unable:
        print(f"skipped {name}: {unable}", flush=True)
        return "skipped"
    except TimeoutError as error:
        print(f"FAILED {name}: {error or f'not done after {seconds} s'}", flush=True)
        return "FAILED"
    except Exception as error:
        # One failure must not hide the other checks, whatever it is.
        print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        return "FAILED"
    print(f"ok {name}", flush=True)
    return "ok"


def names(value: str) -> set[str]:
    chosen = {name for name in value.split(",") if name}
    if unknown := chosen - CHECKS.keys():
        raise argparse.ArgumentTypeError(f"no such check: {', '.join(sorted(unknown))}")
    return chosen


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", help="the server, such as ws://127.0.0.1:9001/echo")
    parser.add_argument("--client", choices=("websockets", "aiohttp"), default="websockets")
    parser.add_argument("--max-message", type=int, default=16 * MIB, metavar="BYTES")
    parser.add_argument("--only", type=names, default=set(CHECKS), metavar="NAME,…")
    parser.add_argument("--skip", type=names, default=set(), metavar="NAME,…")
    parser.add_argument("--list", action="store_true", help="print the names of the checks")
    parser.add_argument(
        "--await-going-away",
        action="store_true",
        help="connect, print `connected`, and expect the server to close with 1001",
    )
    parser.add_argument(
        "--deflate",
        action="store_true",
        help="run the checks of a server that accepts permessage-deflate instead",
    )
    parser.add_argument("--ca", metavar="FILE", help="whom to trust for a wss URL, in PEM")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CHECKS))
        return 0
    if options.url is None:
        parser.error("the server's URL is missing")

    server = Server(options.url, options.client, options.max_message, options.ca)
    if options.await_going_away:
        name = "a_stopping_server_closes_with_1001"
        return 0 if await outcome(name, await_going_away, server, GOING_AWAY_SECONDS) == "ok" else 1

    outcomes = Counter[str]()
    if options.deflate:
        chosen = DEFLATE_CHECKS
    else:
        wanted = options.only - options.skip
        chosen = {name: function for name, function in CHECKS.items() if name in wanted}
        outcomes["skipped"] = len(CHECKS) - len(chosen)
    for name, function in chosen.items():
        outcomes[await outcome(name, function, server, CHECK_SECONDS)] += 1
    passed, failed, skipped = (outcomes[word] for word in ("ok", "FAILED", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
