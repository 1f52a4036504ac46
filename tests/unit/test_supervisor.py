"""What a supervisor does when processes hang, start or cannot be started; on real channels, without processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import pytest

from lookalike.errors import LookalikeError
from lookalike.server import connection_counts, siblings, supervisor
from lookalike.server.siblings import AllAnswered, Answered, Asked, Failed, Outgoing, Ready, Siblings
from lookalike.server.supervisor import Supervisor


class Running:
    """Stands for a process that runs until it is ended."""

    def __init__(self, pid: int) -> None:
        self.pid, self.exitcode = pid, None
        self.sentinel, self._ending = os.pipe()

    def end(self, code: int) -> None:
        self.exitcode = code
        os.close(self._ending)

    def join(self, timeout: float | None = None) -> None:
        pass

    def kill(self) -> None:
        self.end(-9)


class Processes:
    """A supervisor of two processes, whose ends of the channels the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.signals: list[tuple[int, int]] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.supervisor = Supervisor(lambda **_: None, self.listening, 2, say=self.said.append)  # type: ignore[arg-type]
        self.ends: list[Connection] = []
        self.running: list[Running] = []
        for place in self.supervisor._places:
            place.channel, end = multiprocessing.Pipe()
            place.outgoing = Outgoing(place.channel)
            self.running.append(Running(1000 + place.number))
            place.process = self.running[-1]  # type: ignore[assignment]
            place.is_ready, place.started = True, time.monotonic()
            self.ends.append(end)
        monkeypatch.setattr(supervisor.os, "kill", lambda pid, number: self.signals.append((pid, number)))

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.supervisor._turn()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.setattr(supervisor, "TURN_S", 0.001)
    made = Processes(monkeypatch)
    yield made
    made.listening.close()
    made.supervisor._rates.close()
    made.supervisor._counts.close()


def test_a_process_that_hangs_holds_up_no_other(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second never reads, and the first asks far more than a channel holds."""
    monkeypatch.setitem(siblings.ANSWER_S, "metrics", 0.05)
    first = processes.ends[0]
    for number in range(1500):
        first.send(Asked(0, "fetch"))
        processes.turn()
        while first.poll():
            first.recv()
        assert number < 1500
    first.send(Asked(7, "metrics"))
    until = time.monotonic() + 20
    while time.monotonic() < until:
        processes.turn()
        if first.poll() and (answer := first.recv()).number == 7:
            break
    assert answer == AllAnswered(7, {}, (2,))


def test_what_a_process_asked_before_it_ended_is_not_answered_to_its_successor(processes: Processes) -> None:
    one = processes.supervisor
    processes.ends[0].send(Asked(1, "reload"))
    processes.turn()
    number = processes.ends[1].recv().number
    processes.running[0].end(-9)
    processes.turn()
    channel, end = multiprocessing.Pipe()
    one._places[0].channel, one._places[0].outgoing = channel, Outgoing(channel)
    one._places[0].process = Running(2000)  # type: ignore[assignment]
    processes.ends[1].send(Answered(number, "reloaded"))
    processes.turn(20)
    assert not end.poll(0.2)
    assert not one._questions


def test_a_process_that_does_nothing_for_long_is_killed_and_started_again(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = processes.supervisor
    started: list[int] = []
    monkeypatch.setattr(one, "_start", lambda place: started.append(place.number))
    now = time.monotonic()
    one._watching_since = now - 2 * supervisor.HUNG_S
    one._places[1].started = one._watching_since
    one._counts.tell(1, 5)
    monkeypatch.setattr(connection_counts, "monotonic", lambda: now - supervisor.HUNG_S - 1)
    one._counts.tell(2, 5)
    one._turned = now - supervisor.PAUSED_S - 1  # the supervisor was stopped, too, and so were the others
    processes.turn()
    assert processes.said == []
    one._watching_since = now - 2 * supervisor.HUNG_S
    one._counts.withdraw(2)  # it accepts no connections, and is being stopped
    processes.turn()
    assert processes.said == []
    one._counts.tell(2, 5)
    processes.turn()
    assert processes.said == ["process 2 has done nothing for 60 s, and was killed"]
    processes.turn()
    assert processes.said[1:] == ["process 2 ended by signal SIGKILL; it is started again in 0 s"]
    assert started == [2]
    assert (processes.running[0].exitcode, processes.running[1].exitcode) == (None, -9)


def test_a_question_is_carried_and_answered(processes: Processes) -> None:
    first, second = processes.ends
    first.send(Asked(5, "metrics"))
    processes.turn(3)
    asked = second.recv()
    assert asked.question == "metrics"
    second.send(Answered(asked.number, "text"))
    processes.turn(3)
    assert first.recv() == AllAnswered(5, {2: Answered(asked.number, "text")}, ())


def test_a_question_does_not_wait_for_a_process_that_dies(processes: Processes) -> None:
    first, second = processes.ends
    first.send(Asked(5, "reload"))
    processes.turn(2)
    processes.running[1].end(-9)
    second.close()
    processes.turn(3)
    assert first.recv() == AllAnswered(5, {}, ())
    assert processes.said == ["process 2 ended by signal SIGKILL; it is started again in 1 s"]


def test_a_process_that_starts_reloads_when_it_serves(processes: Processes) -> None:
    """It may have read the settings before they were changed."""
    processes.supervisor._places[1].is_ready = False
    processes.ends[0].send(Asked(3, "reload"))
    processes.turn(2)
    assert processes.signals == [(1002, signal.SIGHUP)]
    assert processes.ends[0].recv() == AllAnswered(3, {}, ())


def test_a_process_that_cannot_be_started_again_is_tried_later(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        def start() -> None:
            raise OSError(12, "Cannot allocate memory")

        return SimpleNamespace(start=start)

    place = processes.supervisor._places[1]
    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(type(context), "Process", refuse)
    processes.running[1].end(-9)
    processes.turn(2)
    place.due = time.monotonic()
    processes.turn()
    place.due = time.monotonic()
    processes.turn()
    assert processes.said == [
        "process 2 ended by signal SIGKILL; it is started again in 1 s",
        "process 2 cannot be started: Cannot allocate memory; it is started again in 2 s",
        "process 2 cannot be started: Cannot allocate memory; it is started again in 4 s",
    ]
    place.due = 0.0
    with pytest.raises(LookalikeError, match="process 2 cannot be started: Cannot allocate memory"):
        processes.supervisor._start(place)


def test_why_a_process_could_not_be_started_is_said_once(processes: Processes) -> None:
    place = processes.supervisor._places[1]
    place.is_ready, place.due = False, time.monotonic() - 1
    processes.ends[1].send(Failed("the model is gone", is_usage=True))
    processes.turn()
    processes.running[1].end(0)
    processes.ends[1].close()
    processes.turn(2)
    assert processes.said == ["process 2 cannot be started: the model is gone; it is started again in 1 s"]


def test_a_process_answers_also_where_there_is_a_bug() -> None:
    ours, theirs = multiprocessing.Pipe()
    alone, gone = Siblings(theirs, 1), threading.Event()
    alone.ready("shop")
    assert ours.recv() == Ready("shop")

    def fail() -> str:
        raise RuntimeError("a bug")

    def refuse() -> str:
        raise LookalikeError("refused")

    alone.listen({"metrics": fail, "reload": refuse}, abandoned=gone.set)  # type: ignore[arg-type]
    ours.send(Asked(1, "metrics"))
    bug = ours.recv()
    assert (bug.number, bug.is_problem) == (1, True)
    ours.send(Asked(2, "reload"))
    assert ours.recv() == Answered(2, "refused", is_problem=True)

    async def ask() -> AllAnswered:
        answer = asyncio.create_task(alone.ask("metrics"))
        asked = await asyncio.to_thread(ours.recv)
        ours.send(AllAnswered(asked.number, {2: Answered(4, "text")}, ()))
        return await answer

    assert asyncio.run(ask()).answers[2].answer == "text"
    ours.close()
    assert gone.wait(20)
