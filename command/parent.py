"""A process ends with the one that started it, however that ends."""

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LOOK_S = 1.0


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Asks in a child to be sent a signal when the thread that started it ends; without Linux the child looks each second.

    Where the parent may have ended before the call, the caller compares os.getppid() after it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    else:
        threading.Thread(target=_watch, args=(os.getppid(), number), name="parent", daemon=True).start()


def _watch(parent: int, number: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), number)
