"""A process ends with the one that started it, however that ends."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Asks in a child to be sent a signal when the thread that started it ends. Linux can do this, others cannot.

    Whoever's parent may have ended before the call looks at os.getppid() after it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
