"""The paths of the servers in Python, what they mean, and how such a server is started and stopped.

It knows neither `websockets` nor aiohttp as a server. README.md beside this file has the table of
paths.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import ssl
from collections.abc import Iterable
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import ProtocolError
from websockets.frames import Close

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


def large_message(size: int) -> bytes:
    # 31 and 251 have no common factor, so that the pattern repeats every 251 bytes.
    period = bytes(i * 31 % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


def join(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The header fields by their names in lower case, repeated ones as one."""
    joined: dict[str, str] = {}
    for name, value in fields:
        name = name.lower()
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def cork(transport: asyncio.BaseTransport, on: int) -> None:
    """Holds back small segments, so that what is written next leaves in one."""
    if hasattr(socket, "TCP_CORK"):
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


class Options:
    """The command line of a server."""

    def __init__(self, description: str | None) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
        parser.add_argument("--max-message", type=int, default=64 * MIB, metavar="BYTES")
        parser.add_argument("--tls-cert", metavar="FILE", help="speak wss with this chain, in PEM")
        parser.add_argument("--tls-key", metavar="FILE", help="and this key")
        options = parser.parse_args()
        host, _, port = options.listen.rpartition(":")
        self.host, self.port = host, int(port)
        self.max_message: int = options.max_message
        self.context: ssl.SSLContext | None = None
        if options.tls_cert is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(options.tls_cert, options.tls_key)

    def say_where(self, port: int) -> None:
        scheme = "ws" if self.context is None else "wss"
        print(f"listening on {scheme}://{self.host}:{port}", flush=True)


def stop_at_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    return stop
