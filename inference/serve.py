"""Answers predictions over HTTP and logs them: `trueup serve --model M`, or `python -m inference.serve --model M`.

Logs JSON lines on stderr; on a terminal, lines for people after the address and the first administrator's link. SIGTERM or
Ctrl-C: answers what it accepted, ships the outbox, exits with 0; within
`serve.deadline_seconds` + `serve.stop_seconds` + 10 s, whatever hangs.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.log_lines import wants_text
from command.process import end_with
from contract import clock, jsonio, layout
from contract.errors import UsageError
from contract.registry import models as list_models
from contract.sections.serving import ALL_MODELS
from contract.settings import ServeSettings, Settings
from contract.storage import find_root_id, local_path, make_private, open_root, open_storage
from contract.stores.store import Storage
from inference.auth import LOOPBACK, Keys, NoAuth
from inference.daemon_pool import DaemonPool
from inference.telemetry import log_event, log_to_stderr

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn
    from fastapi import FastAPI

    from inference.keys import KeyRing
    from inference.outbox.outbox import Outbox
    from inference.service import Service

# Beside what requests and shipping may take when the service stops.
END_S = 10.0
INVITE_S = 5.0  # so long a person waits for the store to say whether there are keys


@stage_command("serve")
@click.option("--model", "models", multiple=True, help="Model to serve; repeat for several, the first is the default.")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0: any free one. [default: 8080]")
@click.option("--outbox", type=click.Path(file_okay=False), help="Folder of the durable outbox, on a disk that stays.")
@click.option("--restored-from", metavar="ROOT", help="The address that the root had: what --outbox was to ship there is "
              "shipped to its copy, the root (docs/restore.md).")
@click.option("--no-auth", is_flag=True, help="Development only, loopback only: every caller may do everything.")
@click.option("--ready-file", type=click.Path(dir_okay=False), help='Where {"url", "pid"} is written once it answers.')
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), default="auto", show_default=True,
              help="Log lines for people or for programs; auto: for people on a terminal.")
def command(settings: Settings, models: tuple[str, ...], host: str | None, port: int | None, outbox: str | None,
            restored_from: str | None, no_auth: bool, ready_file: str | None,
            log_format: str) -> Outcome:
    """Serves models over HTTP, logs predictions and labels into the root, follows new live versions."""
    settings = with_options(settings, serve__host=host, serve__port=port, serve__outbox=outbox)
    names = _choose_models(settings, models)
    if restored_from and not settings.serve.outbox:
        raise UsageError("--restored-from: expected --outbox, the folder whose rows were for that root, got none.")
    if no_auth and settings.serve.host not in LOOPBACK:
        raise UsageError(f"--no-auth is for development on this machine: expected a loopback host such as 127.0.0.1, "
                         f"got {settings.serve.host!r}. Make keys with `trueup keys add` and leave --no-auth out.")
    as_text = wants_text(log_format, sys.stderr)
    log_to_stderr(as_text)
    serve(settings, names, no_auth, Path(ready_file) if ready_file else None, restored_from, as_text)
    _start_timer(END_S)  # this command is the process, and Python waits for threads that decode a picture
    return Outcome(document={"stopped": True})


def serve(settings: Settings, models: list[str], no_auth: bool = False, ready_file: Path | None = None,
          restored_from: str | None = None, as_text: bool = False) -> None:
    """Serves until SIGTERM or SIGINT. `as_text`: begins with the address, in words."""
    from inference.app import create_app
    from inference.outbox.outbox import Outbox
    from inference.service import Service
    from inference.versions.known import require_known

    if settings.serve.device == "cuda":
        from inference.model import devices

        devices.choose(devices.CUDA)  # an error before anything is opened
    for name in models:  # before anything is made for a root or a model that is a typing mistake
        require_known(open_root(settings.need_root()), name)
    storage = open_root(settings.need_root(), create=True)
    keyring = _open_keyring(settings, storage, no_auth)
    earlier = open_storage(restored_from).root if restored_from else None
    outbox = Outbox(find_outbox_folder(settings), storage.root, settings.serve.outbox_bytes, find_root_id(storage), earlier)
    try:
        service = Service(storage, settings, outbox, models)
        listener = listen(settings.serve.host, settings.serve.port)
    except BaseException:
        outbox.close()
        raise
    if as_text:
        welcome(_make_url(listener), models, keyring)
    _log_start(service, no_auth)
    _run_server(create_app(service, keyring), listener, settings, outbox,
                lambda url: _announce(url, keyring, ready_file, invite=not as_text))


def _choose_models(settings: Settings, named: Sequence[str]) -> list[str]:
    """Returns the models that the command line names, or else the settings; with `serve.models: all` the default one alone."""
    listed = settings.serve.models
    if named or isinstance(listed, list) and listed:
        return list(dict.fromkeys(named or listed))
    if listed != ALL_MODELS or settings.model:
        return [settings.need_model()]
    published = list_models(open_root(settings.need_root()))
    if not published:
        raise UsageError(f"serve.models: all: nothing was published under {settings.need_root()} yet. Name the model that will "
                         f"be by --model, or publish one: trueup publish.")
    return published[:1]


def find_outbox_folder(settings: Settings) -> Path:
    """Finds the outbox's folder: by setting, else `<root>-outbox` beside a local root, else in the user's state folder."""
    if settings.serve.outbox:
        return Path(settings.serve.outbox).expanduser()
    root = settings.need_root()
    if not root.startswith("s3://"):
        folder = local_path(root)
        return folder.with_name(f"{folder.name}-outbox")
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return state / "trueup" / f"outbox-{hashlib.sha256(root.rstrip('/').encode()).hexdigest()[:12]}"


def _open_keyring(settings: Settings, storage: Storage, no_auth: bool) -> Keys:
    from inference.keys import KeyRing

    if no_auth:
        return NoAuth()
    make_private(storage, layout.api_keys())  # earlier releases left what signs sessions readable for everybody
    reader = open_storage(settings.need_root(), hurried=True)
    return KeyRing(storage, max_age_s=settings.serve.keys_max_age_s, reader=reader)


def listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket; UsageError when the address is taken or not this machine's."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)  # at once: the address is ours while models load, and early callers wait for them
        listener.set_inheritable(True)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}. Name another --port (0: any free one) "
                         f"or --host.") from None
    return listener


def _log_start(service: Service, no_auth: bool) -> None:
    log_event("starting", root=service.storage.root, models=list(service.models), outbox=str(service.outbox.folder),
              writer=service.outbox.writer, waiting_rows=service.outbox.measure_depth().rows)
    if no_auth:
        log_event("no authentication: every caller on this machine may do everything", logging.WARNING)
    if os.environ.get(clock.CLOCK_FILE):
        log_event("the clock is shifted", logging.WARNING, seconds=clock.offset(), file=os.environ[clock.CLOCK_FILE])


def welcome(url: str, models: Sequence[str], keyring: Keys) -> None:
    """Prints where the service is, and for whom, before the first log line; callers who come before it is ready wait."""
    lines = [f"Trueup serves {', '.join(models)}", "", f"  {url}"]
    if isinstance(keyring, NoAuth):
        lines += ["  Without keys: whoever is at this machine may do everything. For development only."]
    else:
        try:
            token = DaemonPool(1, "invitation").submit(keyring.invite).result(INVITE_S)
            lines += [f"  {url}/login?invite={token}", "  No keys yet: this second link makes the first administrator, "
                      "once, within a day."] if token else ["  Log in with a key; `trueup keys add NAME --role ROLE` makes one."]
        except Exception as error:  # the service answers all the same
            lines += [f"  Whether there are keys is not known: {type(error).__name__}: {error}"]
    lines += ["", "  Ctrl-C stops it, and ships what waits. Times below are UTC.", ""]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _announce(url: str, keyring: Keys, ready_file: Path | None, invite: bool = True) -> None:
    log_event("listening", url=url)
    if invite and not isinstance(keyring, NoAuth):
        DaemonPool(1, "invitation").submit(_invite, url, keyring)  # it reads the store, and requests come already
    if ready_file:
        aside = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        aside.write_bytes(jsonio.dumps({"url": url, "pid": os.getpid()}))
        aside.replace(ready_file)


def _invite(url: str, keyring: KeyRing) -> None:
    try:
        if token := keyring.invite():
            log_event("no keys yet: this link makes the first administrator, once", url=f"{url}/login?invite={token}")
    except Exception as error:  # the service answers all the same
        log_event("whether there are keys is not known", logging.WARNING, error=f"{type(error).__name__}: {error}")


def _run_server(app: FastAPI, listener: socket.socket, settings: Settings, outbox: Outbox,
                on_ready: Callable[[str], None]) -> None:
    """Answers on the socket until SIGTERM or SIGINT; calls `on_ready(url)` once it does.

    UsageError when it cannot start.
    """
    # A thread that has the interpreter may keep it for so long. The outbox needs it some ten times for a row, each time
    # behind a thread that decodes or answers: Python's 5 ms lengthen the slowest answers (docs/log.md).
    sys.setswitchinterval(0.001)
    # uvicorn raises the signal again once it has stopped: here a clean stop is success.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    serve, ends = settings.serve, []
    longest = serve.deadline_seconds + serve.stop_seconds + END_S
    server = _make_server(make_config(app, serve), lambda: on_ready(_make_url(listener)),
                          lambda: ends.append(_start_timer(longest, outbox)))
    server.run(sockets=[listener])
    for timer in ends:
        timer.cancel()
    if not server.started:
        raise UsageError("the service could not start: the log says why.")


def make_config(app: FastAPI, serve: ServeSettings) -> uvicorn.Config:
    """Makes the server's configuration: uvicorn's own limits, and those of inference.protocol."""
    import uvicorn

    from inference.protocol import LimitedProtocol

    # proxy_headers: the application itself believes the proxies that a setting names.
    return uvicorn.Config(app, http=LimitedProtocol, log_config=None, access_log=False, lifespan="on", server_header=False,
                          proxy_headers=False, timeout_graceful_shutdown=int(serve.deadline_seconds) + 1, timeout_keep_alive=75)


def _make_server(config: uvicorn.Config, on_ready: Callable[[], None], on_signal: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Says when it listens, and when it was told to stop."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            on_signal()

    return Server(config)


def _start_timer(seconds: float, outbox: Outbox | None = None) -> threading.Timer:
    """Ends the process after that time, unless the timer is cancelled."""
    timer = threading.Timer(seconds, _end_at_once, [outbox])
    timer.daemon = True
    timer.start()
    return timer


def _end_at_once(outbox: Outbox | None) -> None:
    """Ends the process although a thread of it waits for something; what was acknowledged is in the outbox."""
    left = {}
    if outbox:
        with suppress(Exception):  # it may be what hangs
            left = {"rows_left": DaemonPool(1, "depth").submit(outbox.measure_depth).result(1).rows}
    log_event("ended: something did not stop in time", logging.WARNING, **left)
    sys.stdout.flush()
    os._exit(0)


def _make_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup serve` and returns its exit code."""
    return run(command, argv, prog_name="trueup serve")


if __name__ == "__main__":
    end_with(main)
