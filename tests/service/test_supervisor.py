"""Real processes under the supervisor: small shell scripts that live, die and ignore signals."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from service.supervisor import MOST_DEATHS, Part, Supervisor

FOREVER = ("/bin/sh", "-c", "while :; do sleep 0.05; done")
DEAF = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Lines:
    """What the supervisor said."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, who: str, text: str) -> None:
        self.all.append((who, text))

    def of(self, who: str) -> list[str]:
        return [text for name, text in self.all if name == who]


async def at_once() -> bool:
    return True


def part(name: str, command: tuple[str, ...], **options: object) -> Part:
    return Part(name, command, {}, at_once, **options)  # pyright: ignore[reportArgumentType]


def leaves_pid(path: Path, then: str = "while :; do sleep 0.05; done") -> tuple[str, ...]:
    return ("/bin/sh", "-c", f"echo $$ >> {path}; {then}")


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it never became so"
        await asyncio.sleep(0.02)


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def stopping_after(work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[bool]]:
    async def when_up() -> bool:
        await work()
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    return when_up


async def test_starts_in_order_and_stops_in_reverse(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"trap 'echo stop-$0 >> {log}; exit 0' TERM; echo start-$0 >> {log}; "
    script += "while :; do sleep 0.05; done"

    def logged(name: str, count: int) -> Part:
        async def has_started() -> bool:
            return log.exists() and len(log.read_text().split()) >= count

        command = ("/bin/sh", "-c", script, name)
        return Part(name, command, {}, has_started, is_gate=True)

    lines = Lines()
    parts = [logged("one", 1), logged("two", 2), logged("three", 3)]
    status = await Supervisor(parts, lines).run(stopping_after(lambda: asyncio.sleep(0)))
    assert status == 0
    assert log.read_text().split() == [
        *("start-one", "start-two", "start-three"),
        *("stop-three", "stop-two", "stop-one"),
    ]
    assert lines.all == []


async def test_one_pass_ends_when_its_work_is_done() -> None:
    async def done() -> bool:
        return False

    assert await Supervisor([part("one", FOREVER)], Lines()).run(done) == 0


async def test_output_is_told_line_by_line_under_the_name_of_its_part() -> None:
    lines = Lines()
    command = ("/bin/sh", "-c", "echo first; echo second >&2; while :; do sleep 0.05; done")
    talker = Supervisor([part("talker", command)], lines)
    await talker.run(stopping_after(lambda: until(lambda: len(lines.of("talker")) == 2)))
    assert lines.of("talker") == ["first", "second"]


async def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    log, lines = tmp_path / "pids", Lines()

    async def kill_and_wait() -> None:
        await until(lambda: len(pids(log)) == 1)
        os.kill(pids(log)[0], signal.SIGKILL)
        await until(lambda: len(pids(log)) == 2)

    worker = part("worker", leaves_pid(log), restarts=True)
    assert await Supervisor([worker], lines).run(stopping_after(kill_and_wait)) == 0
    assert lines.of("relata") == ["worker was killed by SIGKILL; starting it again in 0.5 s"]
    assert not any(is_alive(pid) for pid in pids(log))


async def test_a_worker_that_keeps_dying_stops_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.supervisor.LONGEST_PAUSE_S", 0.05)
    log, lines = tmp_path / "pids", Lines()
    worker = part("worker", leaves_pid(log, "exit 3"), restarts=True)

    async def forever() -> bool:
        await asyncio.sleep(60)
        return True

    assert await Supervisor([worker], lines).run(forever) == 1
    assert len(pids(log)) == MOST_DEATHS
    assert "died 5 times within 60 s" in lines.of("relata")[-1]


async def test_a_dead_api_stops_the_stack_with_one_line_and_status_1(tmp_path: Path) -> None:
    log, lines = tmp_path / "pids", Lines()

    async def kill() -> bool:
        await until(lambda: len(pids(log)) == 2)
        os.kill(pids(log)[1], signal.SIGKILL)
        return True

    async def first_is_there() -> bool:
        return len(pids(log)) >= 1

    broker = Part("broker", leaves_pid(log), {}, first_is_there, is_gate=True)
    parts = [broker, part("api", leaves_pid(log))]
    assert await Supervisor(parts, lines).run(kill) == 1
    assert lines.of("relata") == ["api was killed by SIGKILL; stopping the stack"]
    assert not any(is_alive(pid) for pid in pids(log))


async def test_a_part_that_dies_while_it_starts_is_named() -> None:
    async def never() -> bool:
        return False

    lines = Lines()
    broken = Part("api", ("/bin/sh", "-c", "exit 7"), {}, never)
    assert await Supervisor([broken], lines).run(at_once) == 1
    assert lines.of("relata") == ["api ended with status 7 while it was starting"]


async def test_a_part_that_is_never_ready_is_named() -> None:
    async def never() -> bool:
        return False

    lines = Lines()
    slow = Part("api", FOREVER, {}, never, ready_s=0.3)
    assert await Supervisor([slow], lines).run(at_once) == 1
    assert lines.of("relata") == ["api was not ready after 0.3 s"]


async def test_a_part_that_does_not_listen_is_ended_after_its_grace(tmp_path: Path) -> None:
    log, lines = tmp_path / "pids", Lines()
    deaf = part("deaf", ("/bin/sh", "-c", f"trap '' TERM; echo $$ >> {log}; {DEAF[2]}"))
    deaf = Part(deaf.name, deaf.command, {}, at_once, grace_s=0.3)
    await Supervisor([deaf], lines).run(stopping_after(lambda: until(lambda: bool(pids(log)))))
    assert lines.of("relata") == ["deaf did not end in time; ending it"]
    assert not any(is_alive(pid) for pid in pids(log))


async def test_what_a_part_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    inner = f"sh -c 'echo $$ >> {log}; while :; do sleep 0.05; done'"
    parent = part("parent", ("/bin/sh", "-c", f"{inner} & {FOREVER[2]}"))
    supervisor = Supervisor([parent], Lines())
    await supervisor.run(stopping_after(lambda: until(lambda: bool(pids(log)))))
    await until(lambda: not is_alive(pids(log)[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must tell of a parent's death")
async def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    code = (
        "import asyncio\n"
        "from service.supervisor import Part, Supervisor\n"
        "async def yes(): return True\n"
        f"part = Part('one', {leaves_pid(log)!r}, {{}}, yes)\n"
        "asyncio.run(Supervisor([part], print).run(yes))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await until(lambda: bool(pids(log)))
    process.kill()
    await process.wait()
    await until(lambda: not is_alive(pids(log)[0]))
