"""``python -m service up``: the whole service on this machine, from one command."""

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from service.demo.walk_through import first_answer, walk_through
from service.jobs.experiments import INSTALL_TRAINING, training_is_installed
from service.preflight import check_named_broker, check_port, held_home
from service.settings import Settings
from service.stack import Stack, build_stack, quiet_environment
from service.supervisor import StackError, Supervisor

COLOURS = {"relata": "bold", "broker": "magenta", "api": "cyan", "worker": "green"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
DATA_VARIABLE = "RELATA_DATA"


def up(settings: Settings, *, demo: bool) -> int:
    """Start everything, show an answer (or the whole demo), serve, stop; give the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    say = _prefixed(console)
    try:
        check_port(settings.host, settings.port)
        check_named_broker(settings)
        with held_home(settings.home):
            stack = build_stack(settings, quiet_environment(settings, quiet=demo))
            show = _demo(console, stack, settings) if demo else _greeting(console, stack)
            return asyncio.run(Supervisor(stack.parts, say).run(lambda: _beside(show, not demo)))
    except StackError as error:
        say("relata", str(error))
        return 1


async def _beside(show: Callable[[], None], goes_on: bool) -> bool:
    """Run blocking work in a thread; say whether to serve on after it."""
    await asyncio.to_thread(show)
    return goes_on


def _greeting(console: Console, stack: Stack) -> Callable[[], None]:
    def greet() -> None:
        first_answer(console, stack.url)
        if not training_is_installed():
            console.print(f"Retraining is not installed; to have it: {INSTALL_TRAINING}")
        console.print(f"[bold]Relata serves at {stack.url}/[/] (docs at /docs). Ctrl-C stops it.")

    return greet


def _demo(console: Console, stack: Stack, settings: Settings) -> Callable[[], None]:
    data = os.environ.get(DATA_VARIABLE)
    return lambda: walk_through(console, stack.url, settings.home, Path(data) if data else None)


def _prefixed(console: Console) -> Callable[[str, str], None]:
    """Give a printer of log lines; each says whose it is."""

    def say(who: str, text: str) -> None:
        line = Text(f"{who:<8}", style=COLOURS.get(who, "yellow")) + Text("│ ", style="dim")
        console.print(line + (Text.from_ansi(text) if console.is_terminal else _plain(text)))
        sys.stdout.flush()

    return say


def _plain(text: str) -> Text:
    return Text(ANSI.sub("", text))
