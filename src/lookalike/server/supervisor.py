"""Supervisor: starts the processes of a server, starts those again that die, and carries questions between them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from lookalike.errors import LookalikeError, UsageError
from lookalike.server.connection_counts import ConnectionCounts
from lookalike.server.process import OpenServer, serve_process
from lookalike.server.rate_table import RateTable
from lookalike.server.run import SHUTDOWN_S, has_terminal
from lookalike.server.siblings import ANSWER_S, AllAnswered, Answered, Asked, Failed, Message, Outgoing, Ready

TURN_S: Final = 0.1
"""Seconds between two looks at signals and clocks."""

AGAIN_S: Final = (1.0, 30.0)
"""Shortest and longest pause before a process that died soon after its start is started again, in seconds."""

STEADY_S: Final = 60.0
"""Seconds after which a process that dies is started again at once."""

ENDING_S: Final = 5.0
"""Seconds that a process has to end after it has closed its channel."""

HUNG_S: Final = 60.0
"""Seconds without a sign of its event loop, which gives ten a second, after which a process is killed."""

PAUSED_S: Final = 5.0
"""Seconds between two turns after which all processes are taken to have been stopped, with this one."""

HELD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Place:
    """Place of one process, and of those that follow it when it has died.

    Attributes:
        number: Number of the process, from 1.
        process: Present process; None while there is none.
        channel: Channel to it.
        outgoing: Messages to it.
        is_ready: Whether it serves.
        started: When it was started, of the monotonic clock.
        pause: Pause before it is started again, in seconds.
        due: When it is to be started again, of the monotonic clock; 0 for a process that serves or is the first here.
        problem: Why the last one could not be started.
    """

    number: int
    process: SpawnProcess | None = None
    channel: Connection | None = None
    outgoing: Outgoing | None = None
    is_ready: bool = False
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0
    problem: str = ""


@dataclass
class OpenQuestion:
    """A question that others have yet to answer.

    Attributes:
        asker: Place that has asked.
        number: Its number for the question.
        waiting: Numbers of places that have yet to answer.
        until: When the answer is due, of the monotonic clock.
        answers: Answers by place.
    """

    asker: Place
    number: int
    waiting: set[int]
    until: float
    answers: dict[int, Answered] = field(default_factory=dict)


def say_nothing(message: str) -> None:
    """Say nothing."""


class Supervisor:
    """Runs several processes that serve on one listening socket; for use from the main thread, on POSIX.

    Args:
        open_server: Opens the server; each process calls it, so it must be picklable.
        listening: Listening socket, which all processes accept connections from.
        processes: Number of processes.
        say: Called with messages for the operator.
    """

    def __init__(
        self, open_server: OpenServer, listening: socket.socket, processes: int, *, say: Callable[[str], None]
    ) -> None:
        self._open_server, self._listening, self._say = open_server, listening, say
        self._places = [Place(number) for number in range(1, processes + 1)]
        self._rates, self._counts = RateTable.create(), ConnectionCounts.create(processes)
        self._questions: dict[int, OpenQuestion] = {}
        self._numbers = itertools.count(1)
        self._stopping = self._reload_wanted = False
        self._has_terminal = has_terminal()
        self._galleries = ""
        self._turned = self._watching_since = time.monotonic()

    def run(self, serving: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM; requests under way are finished first.

        Args:
            serving: Called with the names of the galleries when all processes serve.

        Raises:
            LookalikeError: A process cannot be started; none is left.
        """
        with self._signals():
            try:
                for group in (self._places[:1], self._places[1:]):  # the first one builds what the others read
                    self._start_first(group)
                if not self._stopping:
                    serving(self._galleries)
                while not self._stopping:
                    self._turn()
            finally:
                self._stop()

    def _start_first(self, places: list[Place]) -> None:
        """Start processes, and wait until they serve."""
        for place in places:
            self._start(place)
        while not self._stopping and not all(place.is_ready for place in places):
            self._turn()
            for place in places:
                if place.process is None and not place.due:
                    raise LookalikeError(f"process {place.number} {place.problem} before it served")

    def _start(self, place: Place) -> None:
        """Start a process; if the system refuses, it is tried again later.

        Raises:
            LookalikeError: The system refuses, at the start of the server.
        """
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # which unblocks signals, so that it must be there before they are blocked
        say = self._say if place.number == 1 else say_nothing  # all processes would say the same
        place.channel, theirs = context.Pipe()
        place.process = context.Process(
            target=serve_process,
            args=(
                self._open_server,
                self._listening,
                theirs,
                self._rates,
                self._counts,
                place.number,
                len(self._places),
                say,
            ),
            name=f"lookalike-{place.number}",
        )
        place.is_ready, place.started = False, time.monotonic()
        self._counts.withdraw(place.number)
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)  # which the process inherits, and unblocks when it can
        try:
            place.process.start()
        except OSError as error:
            place.channel.close()
            place.process = place.channel = None
            if not place.due:
                raise LookalikeError(f"process {place.number} cannot be started: {error.strerror}") from error
            self._try_again(place, f"cannot be started: {error.strerror}")
        else:
            place.outgoing = Outgoing(place.channel)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
            theirs.close()

    def _turn(self) -> None:
        """Handle what has happened."""
        self._hear()
        now = time.monotonic()
        if now - self._turned > PAUSED_S:
            self._watching_since = now
        self._turned = now
        for number, question in [*self._questions.items()]:
            if now > question.until:
                self._settle(number)
        if self._reload_wanted:
            self._reload_wanted = False
            self._signal(signal.SIGHUP, self._places)
        for place in self._places:
            if place.process and place.is_ready and not self._stopping:
                self._kill_if_hung(place, place.process, now)
            if place.process is None and place.due and now >= place.due and not self._stopping:
                self._start(place)

    def _kill_if_hung(self, place: Place, process: SpawnProcess, now: float) -> None:
        told = self._counts.told(place.number)
        if told is not None and now - max(told, self._watching_since) > HUNG_S:
            place.is_ready, place.due = False, now
            process.kill()
            self._say(f"process {place.number} has done nothing for {HUNG_S:.0f} s, and was killed")

    def _hear(self) -> None:
        """Receive what processes have sent, and note which of them have ended."""
        present = [(place, place.channel, place.process.sentinel) for place in self._places if place.process]
        ready = wait(
            [one for _, channel, sentinel in present for one in (channel, sentinel) if one is not None], TURN_S
        )
        for place, channel, sentinel in present:
            if channel is not None and channel in ready:  # what it has sent before its end is received first
                self._receive(place, channel)
            elif sentinel in ready:
                self._ended(place)

    def _receive(self, place: Place, channel: Connection) -> None:
        try:
            message: Message = channel.recv()
        except (EOFError, OSError):
            self._ended(place)
            return
        if isinstance(message, Ready):
            self._galleries = message.galleries
            if place.due:
                self._say(f"process {place.number} serves again")
            place.is_ready, place.due, place.problem = True, 0.0, ""
        elif isinstance(message, Failed):
            if not place.due:  # at the start of the server
                raise UsageError(message.message) if message.is_usage else LookalikeError(message.message)
            place.problem = message.message
        elif isinstance(message, Asked):
            self._carry(place, message)
        elif isinstance(message, Answered) and (question := self._questions.get(message.number)) is not None:
            question.answers[place.number] = message
            self._no_longer_wait_for(place, message.number)

    def _carry(self, asker: Place, asked: Asked) -> None:
        """Pass a question on to the other processes."""
        number = next(self._numbers)
        others = [place for place in self._places if place is not asker and place.is_ready]
        until = time.monotonic() + ANSWER_S[asked.question]
        self._questions[number] = OpenQuestion(asker, asked.number, {place.number for place in others}, until)
        for place in others:
            self._send(place, Asked(number, asked.question))
        if asked.question == "reload":  # those that start may have read the old settings, and reload when they serve
            self._signal(signal.SIGHUP, [place for place in self._places if place.process and not place.is_ready])
        if not others:
            self._settle(number)

    def _no_longer_wait_for(self, place: Place, number: int) -> None:
        question = self._questions[number]
        question.waiting.discard(place.number)
        if not question.waiting:
            self._settle(number)

    def _settle(self, number: int) -> None:
        """Answer a question with what has come."""
        question = self._questions.pop(number)
        answered = AllAnswered(question.number, question.answers, tuple(sorted(question.waiting)))
        self._send(question.asker, answered)

    def _send(self, place: Place, message: Message) -> None:
        if place.outgoing is not None:
            place.outgoing.put(message)

    def _ended(self, place: Place) -> None:
        """Note that a process has ended, and when it is to be started again."""
        assert place.process is not None and place.channel is not None and place.outgoing is not None
        place.process.join(ENDING_S)
        if place.process.exitcode is None:
            place.process.kill()
            place.process.join()
        code, was_ready = place.process.exitcode, place.is_ready
        place.outgoing.close()
        place.channel.close()
        place.process, place.channel, place.outgoing, place.is_ready = None, None, None, False
        self._questions = {number: each for number, each in self._questions.items() if each.asker is not place}
        for number in [number for number, question in self._questions.items() if place.number in question.waiting]:
            self._no_longer_wait_for(place, number)
        if self._stopping:
            return
        how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        if was_ready or place.due:
            self._try_again(place, f"cannot be started: {place.problem}" if place.problem else f"ended {how}")
        else:
            place.problem = f"ended {how}"

    def _try_again(self, place: Place, why: str) -> None:
        """Plan the next start of a process: at once, or after a pause if the last one has not lived long."""
        now = time.monotonic()
        steady = now - place.started > STEADY_S
        place.pause = 0.0 if steady else min(AGAIN_S[1], max(AGAIN_S[0], 2 * place.pause))
        place.due, place.problem = now + place.pause, ""
        self._say(f"process {place.number} {why}; it is started again in {place.pause:.0f} s")

    def _signal(self, number: signal.Signals, places: Iterable[Place]) -> None:
        for place in places:
            if place.process is not None and place.process.pid is not None and place.process.exitcode is None:
                os.kill(place.process.pid, number)

    def _stop(self) -> None:
        """Stop all processes; after the time for requests under way, kill them."""
        self._stopping = True
        self._signal(signal.SIGTERM, self._places)
        until = time.monotonic() + SHUTDOWN_S + 5
        try:
            while any(place.process is not None for place in self._places) and time.monotonic() < until:
                with suppress(LookalikeError):  # of one that was starting
                    self._turn()
        finally:
            for place in self._places:
                if place.process is not None:
                    place.process.kill()
                    place.process.join()
            self._rates.close()
            self._counts.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP while the context lasts."""

        def stop(*_: object) -> None:
            self._stopping = True

        def hang_up(*_: object) -> None:
            if self._has_terminal and not has_terminal():
                self._stopping = True
            else:
                self._reload_wanted = True

        before = [signal.signal(number, stop) for number in HELD[:2]] + [signal.signal(signal.SIGHUP, hang_up)]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        try:
            yield
        finally:
            for number, handler in zip(HELD, before, strict=True):
                signal.signal(number, handler)
