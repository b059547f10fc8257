"""Start a command that dies with its parent: ``python leash.py SIGNAL PARENT COMMAND…``.

Asks the kernel (Linux) to send SIGNAL when the parent dies, then becomes the command. Elsewhere it
only becomes the command. Runs as a plain file, before anything else: standard library only.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def leashed(command: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """Give the command line that ties ``command`` to the life of this process."""
    leash = [sys.executable, "-I", "-S", __file__, str(int(death_signal)), str(os.getpid())]
    return [*leash, *command]


def main(arguments: Sequence[str]) -> None:
    """Tie this process to its parent and become the command."""
    death_signal, parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the kernel was asked
            return
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
