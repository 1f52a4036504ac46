"""Processes that read, decode and prepare photos, each with an interpreter, and so a lock, of its own.

They are started by their command rather than by `multiprocessing`, which would run the main module of a program in each
of them, and are connected by a pair of sockets, so that they end when this process does, however it ends.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any, Final

from lookalike.embedding.decoder_process import PhotoSource, PreparedPhoto
from lookalike.embedding.protocol import SeparatePreparation
from lookalike.types import FileStamp

MEMORY: Final = 2**28
"""Memory of decoding of one process, bytes, see `lookalike.images.Budget`; larger photos are left to this one."""

WAIT: Final = 1.0
"""Seconds in which a process that closed its connection ends by itself."""

_COMMAND: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; from lookalike.embedding.decoder_process import run; run(int(sys.argv[1]))"
)
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class DecoderEndedError(Exception):
    """A process has ended, as one does that the system kills for its memory."""


class Decoder:
    """One process; used by one thread at a time."""

    def __init__(self, preparation: SeparatePreparation, *, memory: int) -> None:
        """Start it; it is ready some time later.

        Args:
            preparation: Prepares photos; is sent to it.
            memory: Its memory of decoding, bytes.

        Raises:
            OSError: The system starts no more processes.
        """
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ONE_THREAD},
                process_group=0,  # so that Ctrl-C is for this process alone
            )
        try:
            self._connection.send((preparation, memory))
        except OSError:
            self.end()
            raise

    def read(self, photos: Sequence[PhotoSource]) -> list[FileStamp | None]:
        """Read the files of photos; `prepare` is called next.

        Returns:
            File stamps of the first of them, at least one, None for those that cannot be read.

        Raises:
            DecoderEndedError: The process has ended.
        """
        stamps: list[FileStamp | None] = self._ask(list(photos))
        return stamps

    def prepare(self, wanted: Sequence[bool]) -> list[PreparedPhoto]:
        """Prepare those of the photos read that are wanted.

        Raises:
            DecoderEndedError: The process has ended.
        """
        prepared: list[PreparedPhoto] = self._ask(list(wanted))
        return prepared

    def _ask(self, question: object) -> Any:  # noqa: ANN401
        try:
            self._connection.send(question)
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise DecoderEndedError from error

    def kill(self) -> None:
        """End the process at once: a thread that waits for it gets `DecoderEndedError`."""
        self._process.kill()

    def end(self) -> int:
        """End the process, if it has not ended, and return its exit status: minus the signal that ended it."""
        self._connection.close()
        try:
            return self._process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class DecoderPool:
    """Several processes. Thread-safe.

    Args:
        preparation: Prepares photos.
        count: Number of processes.
        memory: Memory of decoding of each, bytes.
    """

    def __init__(self, preparation: SeparatePreparation, count: int, *, memory: int = MEMORY) -> None:
        self._is_closing = False
        self._decoders: list[Decoder] = []
        self._idle: SimpleQueue[Decoder | None] = SimpleQueue()
        try:
            for _ in range(count):
                self._decoders.append(Decoder(preparation, memory=memory))
        except OSError as error:
            self._warn(f"only {len(self._decoders)} of {count} processes that decode photos started: {error.strerror}")
            if not self._decoders:
                self._idle.put(None)
        for each in self._decoders:
            self._idle.put(each)

    @contextmanager
    def borrowed(self) -> Iterator[Decoder | None]:
        """Wait for a process that is idle, for the context; None if all have ended.

        Raises:
            DecoderEndedError: It ended in the context.
        """
        decoder = self._idle.get()
        if decoder is None:
            self._idle.put(None)
            yield None
            return
        try:
            yield decoder
        except BaseException as error:  # it may wait for an answer
            self._decoders.remove(decoder)
            status = decoder.end()
            if isinstance(error, DecoderEndedError) and not self._is_closing:
                self._warn(
                    f"a process that decodes photos ended with status {status}; its photos are decoded by others"
                )
            if not self._decoders:
                self._idle.put(None)
            raise
        self._idle.put(decoder)

    def interrupt(self) -> None:
        """End the processes while threads use them; `close` is called when these have ended."""
        self._is_closing = True
        for decoder in list(self._decoders):
            decoder.kill()

    def close(self) -> None:
        """End the processes; none is in use."""
        for decoder in self._decoders:
            decoder.end()
        self._decoders = []

    def _warn(self, text: str) -> None:
        logging.getLogger(__name__).warning("%s", text)
