"""Start and stop of the simulator, and the fault of closed connections."""

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
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from paidleave.fineos.simulator.app import Simulator
from paidleave.fineos.simulator.faults import Faults, InvalidFault, parse_text
from paidleave.fineos.simulator.store import SimulatorStore

_VARIABLE_PREFIX = "FINEOS_SIMULATOR_"
_connections: dict[tuple[str, int], asyncio.Transport] = {}


class _Protocol(HttpToolsProtocol):
    """HTTP protocol that registers its transports by client address, so that a fault can close one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if self.client is not None:
            _connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None:
            _connections.pop(self.client, None)


def _close_connection(client: tuple[str, int]) -> None:
    if transport := _connections.get(client):
        transport.abort()


def main() -> None:
    """Run the command ``fineos-simulator`` until SIGTERM or SIGINT."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Serve and return the exit code: 0 after SIGTERM or SIGINT, 2 if a setting is invalid."""
    options = _parse_options(arguments, environment)
    client_id = environment.get(_VARIABLE_PREFIX + "CLIENT_ID", "").strip("\r\n")
    client_secret = environment.get(_VARIABLE_PREFIX + "CLIENT_SECRET", "").strip("\r\n")
    if not client_id or not client_secret:
        print(  # noqa: T201
            f"Set {_VARIABLE_PREFIX}CLIENT_ID and {_VARIABLE_PREFIX}CLIENT_SECRET, the credentials of the client.",
            file=sys.stderr,
        )
        return 2
    try:
        faults = Faults.parse(parse_text(options.faults))
    except InvalidFault as error:
        print(f"--faults: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if options.intake_interval and options.import_folder is None:
        print("--intake-interval requires --import-folder.", file=sys.stderr)  # noqa: T201
        return 2
    options.state.parent.mkdir(parents=True, exist_ok=True)
    options.state.touch(mode=0o600)
    store = SimulatorStore(options.state)
    simulator = Simulator(
        store,
        client_id,
        client_secret,
        close_connection=_close_connection,
        import_folder=options.import_folder,
        export_folder=options.export_folder,
        token_lifetime=options.token_lifetime,
        faults=faults,
        rng=random.Random(options.seed),  # noqa: S311 - faults, not secrets
    )
    with _open_listener(options.host, options.port) as listener:
        _announce(listener.getsockname()[1], options.port_file)
        _serve(simulator, listener, options.intake_interval)
    store.close()
    return 0


def _serve(simulator: Simulator, listener: socket.socket, intake_interval: float) -> None:
    config = uvicorn.Config(
        simulator.build_app(),
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
    # uvicorn raises the stop signal again after the shutdown. The handler ignores it, so that the exit code is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    async def serve() -> None:
        watch = asyncio.create_task(simulator.watch_import_folder(intake_interval)) if intake_interval else None
        await uvicorn.Server(config).serve(sockets=[listener])
        if watch is not None:
            watch.cancel()

    uvloop.run(serve())


def _open_listener(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    The protocol is passed explicitly, because only then does asyncio disable Nagle's algorithm. With the algorithm, a
    response in two writes waits 40 ms for the client's delayed acknowledgment.
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
    """Print the port to stdout, and write it to ``file`` atomically if given."""
    if file is not None:
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(f"{port}\n")
        temporary.replace(file)
    print(json.dumps({"event": "listening", "port": port}), flush=True)  # noqa: T201


def _parse_options(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fineos-simulator",
        description="Run a FINEOS simulator for development and tests. Each option can also be set by an environment "
        f"variable, such as {_VARIABLE_PREFIX}PORT for --port. {_VARIABLE_PREFIX}CLIENT_ID and "
        f"{_VARIABLE_PREFIX}CLIENT_SECRET are required environment variables.",
    )

    def option(name: str, default: str | None, kind: type, text: str) -> None:
        value = environment.get(_VARIABLE_PREFIX + name.upper().replace("-", "_")) or default
        parser.add_argument(f"--{name}", type=kind, default=value, help=text)

    option("host", "127.0.0.1", str, "address to listen on")
    option("port", "0", int, "port to listen on, 0 for a free port")
    option("port-file", None, Path, "file to write the port number to")
    option("state", "fineos.sqlite", Path, "SQLite file of the state")
    option("import-folder", None, Path, "folder with absence-eligibility*/upload, the source of feed files")
    option("export-folder", None, Path, "folder to write the employee updates file to")
    option("intake-interval", "0", float, "seconds between imports of feed files, 0 for imports on request only")
    option("token-lifetime", "3600", float, "lifetime of a token in seconds")
    option("faults", "{}", str, 'faults to inject as JSON: {"latency_ms": 50, "unavailable": 0.01}')
    option("seed", None, int, "seed of the random number generator for faults")
    return parser.parse_args(arguments)
