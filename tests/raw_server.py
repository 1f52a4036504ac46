"""A web server that sends the exact bytes a test gives, including malformed responses."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

Answer = Callable[[str, int], Iterator[bytes]]


class RawServer:
    """Sends the bytes that `answer` gives for a path and how often it was asked for, and closes the connection.

    HEAD requests are refused, and not counted.

    Attributes:
        asked: How often each path was.
        heads: Of the requests.
    """

    def __init__(self, answer: Answer, *, host: str = "127.0.0.1") -> None:
        self.asked: Counter[str] = Counter()
        self.heads: list[bytes] = []
        self._answer = answer
        self._listening = socket.create_server((host, 0))
        self.address = f"http://{host}:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (part := connection.recv(65_536)):
                    return
                head += part
            if head.startswith(b"HEAD "):
                connection.sendall(b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n\r\n")
                return
            path = head.split(b" ")[1].decode()
            self.asked[path] += 1
            self.heads.append(head)
            try:
                for piece in self._answer(path, self.asked[path]):
                    connection.sendall(piece)
            except OSError:
                return


def head(status: str = "200 OK", **fields: object) -> bytes:
    """The head of an answer; underscores in names of fields stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def whole(data: bytes) -> Iterator[bytes]:
    """A sound answer."""
    yield head(Content_Length=len(data))
    yield data
