"""The channel of one process of a server to the others: questions, which the supervisor carries, and their answers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final, Literal, TypeAlias

from lookalike.errors import LookalikeError
from lookalike.server.errors import ERROR_CODES

LOG: Final = logging.getLogger("lookalike.server")

MOST_UNSENT: Final = 256
"""Messages that wait to be sent; more are dropped, since the other end reads nothing."""

ANSWER_S: Final = {"metrics": 5.0, "reload": 300.0, "write_events": 5.0, "fetch": 5.0}
"""Seconds in which the others must have answered, by question."""

Question: TypeAlias = Literal["metrics", "reload", "write_events", "fetch"]
"""What a process asks the others: for their metrics; to reload; to write the searches that wait; to fetch photos."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A process serves from now on.

    Attributes:
        galleries: What it serves, for people.
    """

    galleries: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A process cannot be started.

    Attributes:
        message: Why not.
        is_usage: Whether that is a mistake of the operator.
    """

    message: str
    is_usage: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A question.

    Attributes:
        number: Number that its answers have, too.
        question: The question.
    """

    number: int
    question: Question


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of one process.

    Attributes:
        number: Number of the question.
        answer: Text; the problem, if what was asked for has failed.
        is_problem: Whether it has failed.
    """

    number: int
    answer: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class AllAnswered:
    """The answers of all other processes.

    Attributes:
        number: Number of the question.
        answers: Answers by the number of the process.
        missing: Numbers of processes that did not answer in time.
    """

    number: int
    answers: Mapping[int, Answered]
    missing: tuple[int, ...]


Message: TypeAlias = Ready | Failed | Asked | Answered | AllAnswered


class Outgoing:
    """Messages to the other end of a channel, sent by a thread, since a process that hangs reads nothing. Thread-safe.

    Args:
        channel: Channel.
    """

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._unsent: queue.Queue[Message | None] = queue.Queue(MOST_UNSENT)
        threading.Thread(target=self._run, name="lookalike-outgoing", daemon=True).start()

    def put(self, message: Message) -> None:
        """Send a message soon; if too many wait, or the other end is gone, it is dropped."""
        with suppress(queue.Full):
            self._unsent.put_nowait(message)

    def close(self) -> None:
        """Send nothing more."""
        with suppress(queue.Full):
            self._unsent.put_nowait(None)

    def _run(self) -> None:
        with suppress(OSError):  # the other end is gone
            while (message := self._unsent.get()) is not None:
                self._channel.send(message)


class Siblings:
    """The other processes of a server, as one of them sees them. Thread-safe.

    Attributes:
        number: Number of this process, from 1.
    """

    def __init__(self, channel: Connection, number: int) -> None:
        self.number = number
        self._channel = channel
        self._outgoing = Outgoing(channel)
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[AllAnswered]] = {}

    def failed(self, error: LookalikeError, *, is_usage: bool) -> None:
        """Tell the supervisor why this process cannot be started; it ends after this."""
        with suppress(OSError):
            self._channel.send(Failed(str(error), is_usage))

    def ready(self, galleries: str) -> None:
        """Tell the supervisor that this process serves galleries from now on."""
        self._outgoing.put(Ready(galleries))

    def listen(self, answers: Mapping[Question, Callable[[], str]], *, abandoned: Callable[[], None]) -> None:
        """Answer questions from now on.

        Args:
            answers: Functions that answer, each in a thread of its own.
            abandoned: Called when the supervisor has ended.
        """
        threading.Thread(target=self._listen, args=(answers, abandoned), name="lookalike-siblings", daemon=True).start()

    async def ask(self, question: Question) -> AllAnswered:
        """Ask the other processes, and wait for all of them.

        Returns:
            Their answers. Those that do not serve now are not asked; those that do not answer in time are missing.
        """
        number, found = next(self._numbers), Future[AllAnswered]()
        self._asked[number] = found
        self._outgoing.put(Asked(number, question))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(found), ANSWER_S[question] + 1)
        except TimeoutError:  # the supervisor hangs
            return AllAnswered(number, {}, ())
        finally:
            self._asked.pop(number, None)

    def tell(self, question: Question) -> None:
        """Ask, and do not wait."""
        self._outgoing.put(Asked(0, question))

    def _listen(self, answers: Mapping[Question, Callable[[], str]], abandoned: Callable[[], None]) -> None:
        while True:
            try:
                message = self._channel.recv()
            except (EOFError, OSError):
                abandoned()
                return
            if isinstance(message, AllAnswered):
                waiting = self._asked.get(message.number)
                if waiting is not None and waiting.set_running_or_notify_cancel():
                    waiting.set_result(message)
            elif isinstance(message, Asked):
                answer = answers[message.question]
                threading.Thread(target=self._answer, args=(message, answer), name="lookalike-answer").start()

    def _answer(self, asked: Asked, answer: Callable[[], str]) -> None:
        try:
            answered = Answered(asked.number, answer())
        except LookalikeError as error:
            answered = Answered(asked.number, str(error), is_problem=True)
        except Exception:  # a bug, which must not leave the other one waiting
            LOG.exception("siblings")
            answered = Answered(asked.number, ERROR_CODES["bug"].message, is_problem=True)
        self._outgoing.put(answered)
