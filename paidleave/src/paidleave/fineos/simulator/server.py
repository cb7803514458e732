"""Start and stop of the simulator, and connections that are lost on purpose."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from paidleave.fineos.simulator.app import Simulator
from paidleave.fineos.simulator.faults import Faults, InvalidFault, parse_text
from paidleave.fineos.simulator.store import Store

_VARIABLE = "FINEOS_SIMULATOR_"
_connections: dict[tuple[str, int], asyncio.Transport] = {}


class _Protocol(H11Protocol):
    """Knows its transports by the client's address, so that a fault can cut one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if self.client is not None:
            _connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None:
            _connections.pop(self.client, None)


def _cut(client: tuple[str, int]) -> None:
    if transport := _connections.get(client):
        transport.abort()


def main() -> None:
    """The command ``fineos-simulator``: serve until SIGTERM or SIGINT."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Serve; returns the exit code: 0 after SIGTERM or SIGINT, 2 when a setting is wrong."""
    options = _options(arguments, environment)
    client_id = environment.get(_VARIABLE + "CLIENT_ID", "")
    client_secret = environment.get(_VARIABLE + "CLIENT_SECRET", "")
    if not client_id or not client_secret:
        print(f"Set {_VARIABLE}CLIENT_ID and {_VARIABLE}CLIENT_SECRET: the client must prove them.", file=sys.stderr)  # noqa: T201
        return 2
    try:
        faults = Faults.parse(parse_text(options.faults))
    except InvalidFault as error:
        print(f"--faults: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if options.intake_interval and options.import_folder is None:
        print("--intake-interval needs --import-folder.", file=sys.stderr)  # noqa: T201
        return 2
    options.state.parent.mkdir(parents=True, exist_ok=True)
    options.state.touch(mode=0o600)
    store = Store(options.state)
    simulator = Simulator(
        store,
        client_id,
        client_secret,
        cut=_cut,
        import_folder=options.import_folder,
        export_folder=options.export_folder,
        token_lifetime=options.token_lifetime,
        faults=faults,
        dice=random.Random(options.seed),  # noqa: S311 - faults, not secrets
    )
    with _listener(options.host, options.port) as listener:
        _announce(listener.getsockname()[1], options.port_file)
        _serve(simulator, listener, options.intake_interval)
    store.close()
    return 0


def _serve(simulator: Simulator, listener: socket.socket, intake_interval: float) -> None:
    config = uvicorn.Config(
        simulator.app(),
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    # uvicorn raises the signal that stopped it again when it is done; a stop that was asked for is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    async def serve() -> None:
        watch = asyncio.create_task(simulator.watch(intake_interval)) if intake_interval else None
        await uvicorn.Server(config).serve(sockets=[listener])
        if watch is not None:
            watch.cancel()

    asyncio.run(serve())


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket. Made with its protocol named: only then does asyncio switch Nagle's algorithm off.

    With it, an answer in two writes would wait 40 ms for the client's delayed acknowledgement.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(1024)
    return listener


def _announce(port: int, file: Path | None) -> None:
    """Tell where it listens: a line on stdout and, where asked for, a file that is there at once or not at all."""
    if file is not None:
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(f"{port}\n")
        temporary.replace(file)
    print(json.dumps({"event": "listening", "port": port}), flush=True)  # noqa: T201


def _options(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fineos-simulator",
        description="A FINEOS to develop and test against. Each option can also be given as an environment variable, "
        f"{_VARIABLE}PORT for --port; {_VARIABLE}CLIENT_ID and {_VARIABLE}CLIENT_SECRET only so.",
    )

    def option(name: str, default: str | None, kind: type, text: str) -> None:
        value = environment.get(_VARIABLE + name.upper().replace("-", "_")) or default
        parser.add_argument(f"--{name}", type=kind, default=value, help=text)

    option("host", "127.0.0.1", str, "address to listen at")
    option("port", "0", int, "port to listen at; 0 takes a free one")
    option("port-file", None, Path, "file that gets the number of the port")
    option("state", "fineos.sqlite", Path, "SQLite file that everything is kept in")
    option("import-folder", None, Path, "folder with absence-eligibility*/upload, from which feed files are taken in")
    option("export-folder", None, Path, "folder that gets the employee updates file")
    option("intake-interval", "0", float, "seconds between looks for feed files; 0 takes them in only when asked to")
    option("token-lifetime", "3600", float, "seconds for which a token is good")
    option("faults", "{}", str, 'what goes wrong, as JSON: {"latency_ms": 50, "unavailable": 0.01}')
    option("seed", None, int, "of the dice that faults are thrown with")
    return parser.parse_args(arguments)
