"""The channel of one process of a server to the others: questions, which the supervisor carries, and their answers."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final, Literal, TypeAlias

from lookalike.errors import LookalikeError
from lookalike.server.errors import ApiError

LOG: Final = logging.getLogger("lookalike.server")

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


class Siblings:
    """The other processes of a server, as one of them sees them. Thread-safe.

    Attributes:
        number: Number of this process, from 1.
    """

    def __init__(self, channel: Connection, number: int) -> None:
        self.number = number
        self._channel = channel
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[AllAnswered]] = {}

    def send(self, message: Message) -> None:
        """Send a message to the supervisor; without one, this process is about to stop."""
        with self._sending:
            try:
                self._channel.send(message)
            except OSError:
                LOG.warning("supervisor", extra={"fields": {"problem": "it is gone"}})

    def listen(self, answers: Mapping[Question, Callable[[], str]], *, abandoned: Callable[[], None]) -> None:
        """Answer questions from now on.

        Args:
            answers: Functions that answer, each in a thread of its own.
            abandoned: Called when the supervisor has ended.
        """
        threading.Thread(target=self._listen, args=(answers, abandoned), name="lookalike-siblings", daemon=True).start()

    def ask(self, question: Question) -> dict[int, str]:
        """Ask the other processes, and wait for all of them.

        Returns:
            Answers by the number of the process.

        Raises:
            ApiError: One has not answered in time.
            LookalikeError: What was asked for has failed in one of them.
        """
        number, found = next(self._numbers), Future[AllAnswered]()
        self._asked[number] = found
        self.send(Asked(number, question))
        try:
            all_answered = found.result(ANSWER_S[question] + 1)
        except TimeoutError:
            raise ApiError("not_ready", "the process that started this one does not answer") from None
        finally:
            self._asked.pop(number, None)
        for other, answered in all_answered.answers.items():
            if answered.is_problem:
                raise LookalikeError(f"process {other}: {answered.answer}")
        if all_answered.missing:
            raise ApiError("not_ready", f"process {all_answered.missing[0]} has not answered in time")
        return {other: answered.answer for other, answered in all_answered.answers.items()}

    def tell(self, question: Question) -> None:
        """Ask, and do not wait."""
        self.send(Asked(0, question))

    def _listen(self, answers: Mapping[Question, Callable[[], str]], abandoned: Callable[[], None]) -> None:
        while True:
            try:
                message = self._channel.recv()
            except (EOFError, OSError):
                abandoned()
                return
            if isinstance(message, AllAnswered) and (waiting := self._asked.get(message.number)) is not None:
                waiting.set_result(message)
            elif isinstance(message, Asked):
                answer = answers[message.question]
                threading.Thread(target=self._answer, args=(message, answer), name="lookalike-answer").start()

    def _answer(self, asked: Asked, answer: Callable[[], str]) -> None:
        try:
            self.send(Answered(asked.number, answer()))
        except LookalikeError as error:
            self.send(Answered(asked.number, str(error), is_problem=True))
