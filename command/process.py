"""How a process of ours ends: with the code that it says, whatever the threads of libraries make of the end.

Threads of pyarrow's pools still run when the interpreter has ended, and C++ destroys what they use: now and then that ended a
command with SIGABRT after its whole output (apache/arrow 34314). So Python does all that it promises, and then the process is
over, before any library is taken apart.
"""

import atexit
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from command.interrupts import INTERRUPTED
from command.spans import note_start
from command.without_pandas import do_without_pandas
from contract.errors import DONE, ERROR


def end_with(main: Callable[[], int]) -> NoReturn:
    """Runs the main function of this process and ends the process with the code that it returns.

    Threads that are no daemons are waited for, and what was registered with `atexit` since is run. Only for processes of our
    own: whoever has another program's process calls `main`.
    """
    code = ERROR  # of an exception, whose traceback Python prints

    def end() -> None:
        end_now(code)

    atexit.register(end)  # before everybody else, so that it is run last
    do_without_pandas()
    note_start()
    try:
        code = main()
    except SystemExit as error:
        code = DONE if error.code is None else error.code if isinstance(error.code, int) else ERROR
        raise
    except KeyboardInterrupt:  # outside of any command
        code = INTERRUPTED
        print("error: interrupted.", file=sys.stderr)
    except BrokenPipeError:
        if not has_lost_its_reader():
            raise
    sys.exit(code)


def has_lost_its_reader() -> bool:
    """Says whether nobody reads standard output any more (`| head`); what is still written there then goes nowhere."""
    import select

    out = sys.stdout.fileno()
    watch = select.poll()
    watch.register(out, select.POLLERR)
    if not any(event & select.POLLERR for _, event in watch.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return True


def end_now(code: int) -> NoReturn:
    """Writes out what was printed and ends the process; with an error when nobody takes the output any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or ERROR
    os._exit(code & 0xFF)
