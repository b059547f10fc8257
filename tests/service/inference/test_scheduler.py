"""The laws of the engine's line. No test here depends on how fast the machine is."""

import threading
from collections.abc import Generator, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import pytest

from service.errors import DeadlineMissed, InvalidRequest, RuntimeFailure, Unavailable
from service.inference.line import Terms
from service.inference.scheduler import Scheduler

PATIENCE = 20.0


@dataclass
class Task:
    """Work that takes so many slices and answers with its name."""

    name: str
    lane: Hashable = "lane"
    rows: int = 10
    seconds: float = 0.01
    slices: int = 1
    error: Exception | None = None

    @property
    def kind(self) -> Hashable:
        return self.lane

    def __eq__(self, other: object) -> bool:
        raise AssertionError("works hold arrays: they are told apart by identity, never compared")


@dataclass
class Engine:
    """Runs tasks under the eyes of a test: it can be held shut, and writes down what it does."""

    gate: threading.Event = field(default_factory=threading.Event)
    unions: list[list[str]] = field(default_factory=list)
    slices: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    answers: int | None = None
    entered: threading.Event = field(default_factory=threading.Event)

    def run(self, tasks: Sequence[Task]) -> Generator[None, None, list[str]]:
        self.unions.append([task.name for task in tasks])
        try:
            for _ in range(max(task.slices for task in tasks)):
                self.entered.set()
                assert self.gate.wait(PATIENCE)
                self.slices.append(tasks[0].name)
                for task in tasks:
                    if task.error is not None:
                        raise task.error
                yield
        except GeneratorExit:
            self.closed.append(tasks[0].name)
            raise
        return [task.name for task in tasks][: self.answers]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Refusals:
    def __init__(self) -> None:
        self.codes: list[str] = []
        self.batches: list[int] = []
        self.given_up: list[str] = []

    def finished(self, works, waited_s, busy_s) -> None:
        assert len(waited_s) == len(works)
        assert busy_s >= 0
        self.batches.append(len(works))

    def abandoned(self, works, busy_s) -> None:
        assert busy_s >= 0
        self.given_up += [work.name for work in works]

    def refused(self, code: str) -> None:
        self.codes.append(code)


@dataclass
class Bench:
    engine: Engine
    clock: Clock
    seen: Refusals
    scheduler: Scheduler[Task, str]

    def ask(self, *tasks: Task, deadline: float = 1e9) -> list[Future[str]]:
        return [self.scheduler.submit(task, deadline=deadline) for task in tasks]

    def hold(self) -> Future[str]:
        """Occupy the engine until the gate opens."""
        self.engine.gate.clear()
        self.engine.entered.clear()
        (busy,) = self.ask(Task("busy", lane="busy", seconds=0.001))
        assert self.engine.entered.wait(PATIENCE)
        return busy


@pytest.fixture
def bench():
    engine, clock, seen = Engine(), Clock(), Refusals()
    engine.gate.set()
    terms = Terms(queue_seconds=1.0, rows=100)
    scheduler = Scheduler(engine.run, terms, observer=seen, clock=clock)
    yield Bench(engine, clock, seen, scheduler)
    engine.gate.set()
    scheduler.close(PATIENCE)


def answers(futures: Sequence[Future[str]]) -> list[str]:
    return [future.result(PATIENCE) for future in futures]


class TestAnswers:
    def test_are_as_many_as_the_questions_and_in_their_order(self, bench):
        names = [f"t{index}" for index in range(50)]
        assert answers(bench.ask(*(Task(name) for name in names))) == names

    def test_come_without_waiting_for_company(self, bench):
        assert answers(bench.ask(Task("only"))) == ["only"]
        assert bench.engine.unions == [["only"]]

    def test_from_many_threads_reach_their_own_askers(self, bench):
        found: dict[str, str] = {}

        def ask(name: str) -> None:
            found[name] = bench.ask(Task(name))[0].result(PATIENCE)

        threads = [threading.Thread(target=ask, args=(f"t{index}",)) for index in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == {f"t{index}": f"t{index}" for index in range(20)}


class TestUnions:
    def test_are_of_one_lane_up_to_the_row_limit(self, bench):
        bench.hold()
        tasks = [
            Task("a1", "a", 40),
            Task("b1", "b", 40),
            Task("a2", "a", 40),
            Task("a3", "a", 40),
            Task("a4", "a", 20),
        ]
        futures = bench.ask(*tasks)
        bench.engine.gate.set()
        assert answers(futures) == ["a1", "b1", "a2", "a3", "a4"]
        assert bench.engine.unions[1:] == [["a1", "a2", "a4"], ["b1"], ["a3"]]

    def test_large_work_runs_alone(self, bench):
        bench.hold()
        futures = bench.ask(Task("large", rows=5000), Task("small"), Task("other"))
        bench.engine.gate.set()
        answers(futures)
        assert bench.engine.unions[1:] == [["large"], ["small", "other"]]


class TestErrors:
    def test_reach_only_the_guilty_one(self, bench):
        bench.hold()
        bad = Task("bad", error=ValueError("secret"))
        futures = bench.ask(Task("one"), bad, Task("two"))
        bench.engine.gate.set()
        assert futures[0].result(PATIENCE) == "one"
        assert futures[2].result(PATIENCE) == "two"
        with pytest.raises(RuntimeFailure) as failure:
            futures[1].result(PATIENCE)
        assert "secret" not in str(failure.value)
        assert bench.engine.unions[1:] == [["one", "bad", "two"], ["one"], ["bad"], ["two"]]
        assert bench.seen.codes == ["runtime-failure"]

    def test_of_the_service_arrive_as_they_are(self, bench):
        (future,) = bench.ask(Task("bad", error=InvalidRequest("too odd", code="odd")))
        with pytest.raises(InvalidRequest, match="too odd"):
            future.result(PATIENCE)

    def test_do_not_stop_the_engine(self, bench):
        (future,) = bench.ask(Task("bad", error=RuntimeError("no")))
        assert isinstance(future.exception(PATIENCE), RuntimeFailure)
        assert answers(bench.ask(Task("next"))) == ["next"]

    def test_too_few_answers_are_an_error_and_never_a_mix_up(self, bench):
        bench.engine.answers = 1
        bench.hold()
        futures = bench.ask(Task("one"), Task("two"))
        bench.engine.gate.set()
        # Alone, each gets the one answer that the engine gives: its own.
        assert answers(futures) == ["one", "two"]
        bench.engine.answers = 0
        (future,) = bench.ask(Task("three"))
        assert isinstance(future.exception(PATIENCE), RuntimeFailure)


class TestOverload:
    def test_a_full_line_answers_at_once_and_says_when_to_come_back(self, bench):
        bench.hold()
        bench.ask(Task("one", seconds=0.6))
        with pytest.raises(Unavailable) as refusal:
            bench.ask(Task("two", seconds=0.6))
        assert refusal.value.code == "overloaded"
        assert refusal.value.retry_after_s == pytest.approx(0.6, abs=0.01)
        assert bench.seen.codes == ["overloaded"]
        assert len(bench.ask(Task("three", seconds=0.3))) == 1

    def test_an_idle_engine_takes_work_of_any_size(self, bench):
        assert answers(bench.ask(Task("long", seconds=50.0))) == ["long"]

    def test_work_that_would_miss_its_deadline_is_turned_away(self, bench):
        bench.hold()
        bench.ask(Task("one", seconds=0.5))
        with pytest.raises(Unavailable) as refusal:
            bench.ask(Task("two", seconds=0.2), deadline=0.6)
        assert refusal.value.code == "overloaded"


class TestDeadlines:
    def test_missed_in_line_are_told_and_not_worked_on(self, bench):
        bench.hold()
        (late,) = bench.ask(Task("late"), deadline=5.0)
        (patient,) = bench.ask(Task("patient"), deadline=50.0)
        bench.clock.now = 6.0
        bench.engine.gate.set()
        assert patient.result(PATIENCE) == "patient"
        with pytest.raises(DeadlineMissed):
            late.result(PATIENCE)
        assert ["late"] not in bench.engine.unions
        assert bench.seen.codes == ["deadline-missed"]

    def test_missed_at_work_end_the_work(self, bench):
        bench.engine.gate.clear()
        (late,) = bench.ask(Task("late", slices=1000), deadline=5.0)
        assert bench.engine.entered.wait(PATIENCE)
        bench.clock.now = 6.0
        bench.engine.gate.set()
        with pytest.raises(DeadlineMissed):
            late.result(PATIENCE)
        assert answers(bench.ask(Task("next"))) == ["next"]
        assert bench.engine.closed == ["late"]
        assert bench.seen.given_up == ["late"]
        assert bench.engine.slices.count("late") == 1


class TestDeparture:
    def test_work_in_line_is_dropped(self, bench):
        bench.hold()
        gone, stays = bench.ask(Task("gone"), Task("stays"))
        assert gone.cancel()
        bench.engine.gate.set()
        assert stays.result(PATIENCE) == "stays"
        assert bench.engine.unions[1:] == [["stays"]]

    def test_running_work_ends_when_all_its_callers_have_left(self, bench):
        bench.engine.gate.clear()
        (gone,) = bench.ask(Task("gone", slices=1000))
        assert bench.engine.entered.wait(PATIENCE)
        assert gone.cancel()
        bench.engine.gate.set()
        assert answers(bench.ask(Task("next"))) == ["next"]
        assert bench.engine.closed == ["gone"]

    def test_hurts_nobody_in_the_same_union(self, bench):
        bench.hold()
        gone, stays = bench.ask(Task("gone", slices=3), Task("stays", slices=3))
        bench.engine.gate.set()
        gone.cancel()
        assert stays.result(PATIENCE) == "stays"
        with pytest.raises(CancelledError):
            gone.result(0)


class TestTurns:
    def test_short_work_overtakes_long_work(self, bench):
        bench.engine.gate.clear()
        (long,) = bench.ask(Task("long", lane="l", seconds=5.0, slices=40))
        assert bench.engine.entered.wait(PATIENCE)
        (short,) = bench.ask(Task("short", lane="s", seconds=0.01, slices=2))
        bench.engine.gate.set()
        assert short.result(PATIENCE) == "short"
        assert long.result(PATIENCE) == "long"
        last_short = len(bench.engine.slices) - 1 - bench.engine.slices[::-1].index("short")
        assert bench.engine.slices[last_short:].count("long") > 30

    def test_the_oldest_gets_every_second_slice(self, bench):
        bench.engine.gate.clear()
        (long,) = bench.ask(Task("long", lane="l", seconds=5.0, slices=30))
        assert bench.engine.entered.wait(PATIENCE)
        shorts = bench.ask(*(Task(f"s{i}", lane=i, seconds=0.01, slices=5) for i in range(10)))
        bench.engine.gate.set()
        answers([long, *shorts])
        until = max(i for i, name in enumerate(bench.engine.slices) if name == "long")
        between = [name for name in bench.engine.slices[1:until] if name != "long"]
        assert len(between) <= until / 2 + 1

    def test_equals_do_not_overtake_each_other(self, bench):
        bench.engine.gate.clear()
        futures = bench.ask(*(Task(f"t{i}", lane=i, seconds=1e-9, slices=3) for i in range(4)))
        bench.engine.gate.set()
        answers(futures)
        order = [
            name
            for i, name in enumerate(bench.engine.slices)
            if name not in bench.engine.slices[:i]
        ]
        assert order == ["t0", "t1", "t2", "t3"]


class TestClose:
    def test_finishes_what_there_is_and_takes_nothing_new(self, bench):
        bench.hold()
        futures = bench.ask(*(Task(f"t{i}", lane=i, slices=3) for i in range(5)))
        closer = threading.Thread(target=bench.scheduler.close, args=(PATIENCE,))
        closer.start()
        while not bench.scheduler.is_closing:
            assert closer.is_alive()
        with pytest.raises(Unavailable, match="shutting down"):
            bench.ask(Task("more"))
        bench.engine.gate.set()
        closer.join(PATIENCE)
        assert answers(futures) == [f"t{i}" for i in range(5)]
        assert not bench.scheduler.is_alive

    def test_refuses_what_does_not_finish_in_time(self, bench):
        bench.hold()
        (stuck,) = bench.ask(Task("stuck"))
        bench.scheduler.close(0.05)
        with pytest.raises(Unavailable) as refusal:
            stuck.result(PATIENCE)
        assert refusal.value.code == "draining"
        bench.engine.gate.set()


def test_a_fault_of_the_scheduler_itself_leaves_nobody_waiting(bench, monkeypatch):
    bench.hold()
    (waiting,) = bench.ask(Task("waiting"))
    monkeypatch.setattr(bench.scheduler, "_admit", lambda: 1 / 0)
    bench.engine.gate.set()
    assert isinstance(waiting.exception(PATIENCE), RuntimeFailure)
    with pytest.raises(Unavailable):
        bench.ask(Task("later"))


def test_tells_its_backlog(bench):
    bench.hold()
    bench.ask(Task("one", seconds=0.25), Task("two", seconds=0.25))
    assert bench.scheduler.waiting == 2
    assert bench.scheduler.backlog_s == pytest.approx(0.501)
