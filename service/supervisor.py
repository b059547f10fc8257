"""Keeps a stack of processes: starts them in order, restarts workers, stops all of it cleanly."""

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.leash import leashed

READY_POLL_S = 0.1
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
MOST_DEATHS = 5
DEATHS_WITHIN_S = 60.0

Say = Callable[[str, str], None]
"""Prints one line: who says it, and what."""


class StackError(Exception):
    """The stack cannot go on; the text is the one line that says why."""


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    Attributes:
        is_ready: Asked again and again after the start until it says yes.
        ready_s: How long that may take.
        grace_s: How long the process may take to end when it is asked to.
        is_gate: Whether the parts after it are started only once it is ready.
        restarts: Whether its death is mended; otherwise it stops the stack.
        log: Where to look after its death, if it does not say it here.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    ready_s: float = 60.0
    grace_s: float = 10.0
    is_gate: bool = False
    restarts: bool = False
    log: str = ""


@dataclass
class Running:
    """A part that was started, and when it died lately."""

    part: Part
    process: asyncio.subprocess.Process
    reader: asyncio.Task[None]
    deaths: deque[float] = field(default_factory=deque[float])


class Supervisor:
    """Runs parts until it is told to stop or one of them cannot be kept alive."""

    def __init__(self, parts: Sequence[Part], say: Say) -> None:
        """Take the parts in their starting order."""
        self._parts = parts
        self._say = say
        self._running: list[Running] = []
        self._stop = asyncio.Event()
        self._signals = 0

    async def run(self, when_up: Callable[[], Awaitable[bool]]) -> int:
        """Start all parts, call ``when_up``, keep them, stop them; give the exit status.

        The stack goes on for as long as ``when_up`` says True; False ends it at once.
        """
        self._catch_signals()
        try:
            await self._start_all()
            await self._serve(when_up)
        except StackError as error:
            self._say("relata", str(error))
            return 1
        finally:
            await self._stop_all()
        return 0

    async def _serve(self, when_up: Callable[[], Awaitable[bool]]) -> None:
        """Keep all parts while ``when_up`` does its work, and for as long as it says after that."""
        keeper = asyncio.ensure_future(self._keep())
        work = asyncio.ensure_future(when_up())
        try:
            await asyncio.wait([keeper, work], return_when=asyncio.FIRST_COMPLETED)
            if keeper.done() or work.result():
                await keeper
        finally:
            work.cancel()
            keeper.cancel()
            await asyncio.wait([keeper, work])

    async def _start_all(self) -> None:
        for part in self._parts:
            if self._stop.is_set():
                return
            running = await self._start(part)
            self._running.append(running)
            if part.is_gate:
                await self._until_ready(running)
        for running in self._running:
            await self._until_ready(running)

    async def _start(self, part: Part) -> Running:
        try:
            process = await asyncio.create_subprocess_exec(
                *leashed(part.command, signal.SIGTERM),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=os.environ | dict(part.environment),
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(f"cannot start {part.name}: {error}") from error
        return Running(part, process, asyncio.create_task(self._repeat_output(part, process)))

    async def _until_ready(self, running: Running) -> None:
        part = running.part
        deadline = time.monotonic() + part.ready_s
        while not self._stop.is_set():
            if running.process.returncode is not None:
                raise StackError(f"{part.name} {_ending(running)} while it was starting")
            if await part.is_ready():
                return
            if time.monotonic() > deadline:
                raise StackError(f"{part.name} was not ready after {part.ready_s:g} s")
            await asyncio.sleep(READY_POLL_S)

    async def _keep(self) -> None:
        """Mend deaths until told to stop."""
        while not self._stop.is_set():
            dead = [one for one in self._running if one.process.returncode is not None]
            for running in dead:
                await self._mend(running)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), READY_POLL_S)

    async def _mend(self, running: Running) -> None:
        part = running.part
        _signal_group(running, signal.SIGKILL)  # what a dead leader has left behind
        if not part.restarts:
            raise StackError(f"{part.name} {_ending(running)}; stopping the stack")
        now = time.monotonic()
        deaths = running.deaths
        deaths.append(now)
        while now - deaths[0] > DEATHS_WITHIN_S:
            deaths.popleft()
        if len(deaths) >= MOST_DEATHS:
            raise StackError(
                f"{part.name} died {len(deaths)} times within {DEATHS_WITHIN_S:g} s, "
                f"at last it {_ending(running)}; stopping the stack"
            )
        pause_s = min(FIRST_PAUSE_S * 2 ** (len(deaths) - 1), LONGEST_PAUSE_S)
        self._say("relata", f"{part.name} {_ending(running)}; starting it again in {pause_s:g} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s)
        if not self._stop.is_set():
            again = await self._start(part)
            running.process, running.reader = again.process, again.reader

    async def _stop_all(self) -> None:
        for running in reversed(self._running):
            await self._end(running)
        self._running.clear()

    async def _end(self, running: Running) -> None:
        """Ask a part to end, wait for its grace, then end its whole group."""
        process, hurry = running.process, self._signals > 1
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            grace_s = 0.0 if hurry else running.part.grace_s
            deadline = time.monotonic() + grace_s
            while process.returncode is None and time.monotonic() < deadline:
                if self._signals > 1:
                    break
                await asyncio.sleep(READY_POLL_S / 2)
            if process.returncode is None and not hurry:
                self._say("relata", f"{running.part.name} did not end in time; ending it")
        _signal_group(running, signal.SIGKILL)
        await process.wait()
        await asyncio.wait([running.reader], timeout=1.0)

    async def _repeat_output(self, part: Part, process: asyncio.subprocess.Process) -> None:
        output = process.stdout
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:  # a line longer than the buffer
                continue
            if not line:
                return
            if text := line.decode(errors="replace").rstrip():
                self._say(part.name, text)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        self._signals += 1
        self._stop.set()


def _ending(running: Running) -> str:
    status = running.process.returncode
    if status is None:
        return "is still running"
    see = f" (see {running.part.log})" if running.part.log else ""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}{see}"
    return f"ended with status {status}{see}"


def _signal_group(running: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.process.pid, number)
