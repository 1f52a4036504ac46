"""Servers of remote photos: a real S3 protocol, and a web server with faults on request."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = "shop"
STARTING_S = 120.0


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server on loopback; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until a server listens."""
    deadline = time.monotonic() + STARTING_S
    while time.monotonic() < deadline:
        assert server.poll() is None, "the S3 server did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the S3 server does not answer")


def environment(endpoint: str) -> dict[str, str]:
    """What every tool for S3 reads from the environment."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def forget_stores() -> None:
    """Clear the cache of stores, so that they are opened with the present environment."""
    import s3fs

    from lookalike.remote import cache, object_store

    object_store._opened.cache_clear()
    cache.shared_cache.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


class WebServer:
    """Answers `GET` with what `answer` gives: a status and a body.

    Args:
        answer: Called with a path and how often that was asked for.
        together: No request is answered before so many were under way at one time, or ten seconds.

    Attributes:
        asked: How often each path was.
        most: Requests that were under way at one time, at most.
    """

    def __init__(self, answer: Callable[[str, int], tuple[int, bytes]], *, together: int = 1) -> None:
        self.asked: Counter[str] = Counter()
        self.most = self._now = 0
        lock, met, outer = threading.Lock(), threading.Event(), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    outer.asked[self.path] += 1
                    outer._now += 1
                    outer.most = max(outer.most, outer._now)
                    if outer.most >= together:
                        met.set()
                    status, body = answer(self.path, outer.asked[self.path])
                met.wait(10)
                if together > 1:
                    time.sleep(0.1)  # more than were allowed would come meanwhile
                with lock:
                    outer._now -= 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def put(path: str, data: bytes) -> None:
    """Write an object, as another program would."""
    client().put_object(Bucket=BUCKET, Key=path, Body=data)


def delete(path: str) -> None:
    """Remove an object."""
    client().delete_object(Bucket=BUCKET, Key=path)


def client() -> Any:
    """Amazon's own client."""
    import boto3

    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
