"""Runs a Milvus server until standard input ends; run by the interpreter that has the `milvus` package.

    milvus_serve.py DATA [key=value]...

It says `{"port": ..., "pid": ...}` on standard output when the server answers. Started again on the same DATA, it
has what was there. When the one who started it dies, however that happens, standard input ends and the server goes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path

from milvus import MilvusServer, MilvusServerConfig  # type: ignore[import-not-found]

STARTING_S = 280.0
PORTS_FROM = 42_000
"""Below those that the system hands out, and above those that servers usually have."""


class Config(MilvusServerConfig):  # type: ignore[misc]
    """The usual one, which takes a port again although connections to it have just been cut off."""

    def try_bind_port(self, port: int) -> socket.socket | None:
        """A socket on a port, or None if the port is in use."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
            bound.listen()
        except OSError:
            bound.close()
            return None
        return bound


def main() -> None:
    """Start, say so, wait, stop."""
    data = Path(sys.argv[1])
    data.mkdir(parents=True, exist_ok=True)
    programs = Path(sys.prefix) / "milvus-programs"  # unpacked once: it takes ten seconds
    programs.mkdir(exist_ok=True)
    if not (data / "bin").exists():
        (data / "bin").symlink_to(programs)
    server = MilvusServer(Config(), wait_for_started=False)
    server.set_base_dir(str(data))
    server.webservice_port, _ = free_ports(server.config, 2)
    etcd_on_free_ports(server.config, data / "etcd.json")
    for setting in sys.argv[2:]:
        key, _, value = setting.partition("=")
        server.config.set(key, int(value) if value.isdigit() else {"true": True, "false": False}.get(value, value))
    server.start()
    try:
        wait(server)
        sys.stdout.write(json.dumps({"port": server.listen_port, "pid": server.server_proc.pid}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        server.stop()
        os._exit(0)


def free_ports(config: MilvusServerConfig, count: int) -> list[int]:
    """Free ports."""
    first = PORTS_FROM + os.getpid() % 5000 * 4
    found: list[int] = []
    while len(found) < count:
        port, bound = config.resolve_port(first + len(found))
        bound.close()
        found.append(port)
        first = port
    return found


def etcd_on_free_ports(config: MilvusServerConfig, file: Path) -> None:
    """Let the server's own etcd listen elsewhere than on its one usual port, so that there can be several servers."""
    client, peer = free_ports(config, 4)[2:]
    place = f"http://127.0.0.1:{peer}"
    settings = {
        "name": "default",
        "data-dir": str(file.parent / "data" / "etcd.data"),
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": place,
        "initial-advertise-peer-urls": place,
        "initial-cluster": f"default={place}",
        "log-outputs": [str(file.parent / "logs" / "etcd.log")],
    }
    file.write_text(json.dumps(settings))
    config.template_text = config.template_text.replace(
        "etcd:\n  endpoints", f"etcd:\n  config:\n    path: {file}\n  endpoints", 1
    )


def wait(server: MilvusServer) -> None:
    """Wait until the server answers."""
    health = f"http://127.0.0.1:{server.webservice_port}/healthz"
    end = time.monotonic() + STARTING_S
    while time.monotonic() < end and server.server_proc.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=10) as response:
                if b"OK" in response.read():
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit


main()
