"""API keys as documents in the bucket, so that all replicas share them (`python -m inference.keys add NAME --role R`).

A token is `<id>.<secret>`; only the sha256 of the secret (256 random bits, so nothing to guess) is stored. A document
is looked up again after `CACHE_SECONDS`, which bounds how long a revoked key still works.
"""

import hashlib
import hmac
import re
import secrets
import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

import click

from command.command import Outcome, run, stage_command
from contract import clock, layout
from contract.documents.document import Document
from contract.errors import NotFound, UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage, create_if_absent
from inference.auth import ROLES, Caller

CACHE_SECONDS = 3.0
CACHE_SIZE = 4096
INVITE_SECONDS = 24 * 3600
KEY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,40}-[0-9a-f]{6}")
SESSION, INVITE = "session-secret", "invite"


class Key(Document):
    """`keys/<id>.json`: who may do what. The secret itself is nowhere."""

    id: str
    name: str
    roles: list[str]
    sha256: str
    created_at: str
    revoked_at: str | None = None
    rate: float | None = None  # requests per second that this key may send to one replica; None: no limit

    def to_caller(self) -> Caller:
        """Makes the caller that a request with this key is from."""
        return Caller(self.id, self.name, frozenset(self.roles), self.rate)


class KeyRing:
    """The keys of one root. Every method may read the store, so callers on an event loop use a thread."""

    def __init__(self, storage: Storage, cache_seconds: float = CACHE_SECONDS) -> None:
        self.storage, self.cache_seconds = storage, cache_seconds
        self._cache: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()
        self._lock = Lock()
        self._session_secret: bytes | None = None

    # -- keys -------------------------------------------------------------------------------------------------------

    def add(self, name: str, roles: Iterable[str], rate: float | None = None) -> str:
        """Makes a key and returns its token, which cannot be read again."""
        roles = sorted(set(roles))
        unknown = [r for r in roles if r not in ROLES]
        if unknown or not roles:
            raise UsageError(f"expected roles among {', '.join(ROLES)}, got {', '.join(unknown) or 'none'}.")
        if not name.strip() or len(name) > 100:
            raise UsageError(f"expected a name of 1 to 100 characters, got {len(name.strip())}.")
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "key"
        secret, id_ = secrets.token_urlsafe(32), f"{slug}-{secrets.token_hex(3)}"
        key = Key(id=id_, name=name.strip(), roles=roles, sha256=_hash(secret), created_at=_now(), rate=rate)
        self.storage.create(layout.api_key(id_), key.to_bytes())
        return f"{id_}.{secret}"

    def list_keys(self) -> list[Key]:
        """Reads all keys, revoked ones too, by id."""
        ids = [layout.document_name(e.key) for e in self.storage.list(layout.api_keys())]
        return [Key.load(self.storage, layout.api_key(i)) for i in ids if KEY_ID.fullmatch(i)]

    def revoke(self, key_id: str) -> Key:
        """Ends a key; replicas refuse it within `CACHE_SECONDS`. Revoked again, nothing changes."""
        key = self._read_key(key_id)
        if key is None:
            raise UsageError(f"there is no key {key_id!r}. `trueup keys list` shows all ids.")
        if key.revoked_at is None:
            key = key.model_copy(update={"revoked_at": _now()})
            self.storage.put(layout.api_key(key_id), key.to_bytes())
        self._cache.pop(key_id, None)
        return key

    def has_working_key(self) -> bool:
        """Says whether a key exists that still works."""
        return any(k.revoked_at is None for k in self.list_keys())

    # -- checks -----------------------------------------------------------------------------------------------------

    def check(self, token: str) -> Caller | None:
        """Returns the caller of a token; None when it is unknown, wrong or revoked.

        Compares in constant time.
        """
        id_, _, secret = token.partition(".")
        key = self.find_key(id_)
        # An unknown id costs the same comparison as a wrong secret.
        right = hmac.compare_digest(_hash(secret), key.sha256 if key else _hash(""))
        return key.to_caller() if key and right and key.revoked_at is None else None

    def find_caller(self, key_id: str) -> Caller | None:
        """Returns the caller of a key that a signed session names; None when the key was revoked."""
        key = self.find_key(key_id)
        return key.to_caller() if key and key.revoked_at is None else None

    def is_cached(self, key_id: str) -> bool:
        """Says whether `find_key` would answer from memory, so that an event loop needs no thread for it."""
        with self._lock:
            cached = self._cache.get(key_id)
        return cached is not None and clock.monotonic() - cached[0] < self.cache_seconds

    def find_key(self, key_id: str) -> Key | None:
        """Reads the key document, at most `cache_seconds` old; None when there is none."""
        if not KEY_ID.fullmatch(key_id):
            return None
        with self._lock:
            cached = self._cache.get(key_id)
        if cached is None or clock.monotonic() - cached[0] >= self.cache_seconds:
            cached = (clock.monotonic(), self._read_key(key_id))
            with self._lock:
                self._cache[key_id] = cached
                while len(self._cache) > CACHE_SIZE:  # somebody tries ids: forget the oldest
                    self._cache.popitem(last=False)
        return cached[1]

    def _read_key(self, key_id: str) -> Key | None:
        try:
            return Key.load(self.storage, layout.api_key(key_id)) if KEY_ID.fullmatch(key_id) else None
        except NotFound:
            return None

    # -- sessions and the first administrator -----------------------------------------------------------------------

    def session_secret(self) -> bytes:
        """Returns the bytes that sign page sessions: made once per root, shared by all replicas."""
        if self._session_secret is None:
            key = layout.api_key(SESSION)
            create_if_absent(self.storage, key, _Secret(secret=secrets.token_hex(32), created_at=_now()).to_bytes())
            self._session_secret = bytes.fromhex(_Secret.load(self.storage, key).secret)
        return self._session_secret

    def invite(self) -> str | None:
        """Makes a token for the one-time link that makes the first administrator.

        None when a working key exists.
        """
        if self.has_working_key():
            return None
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        document = _Secret(secret=_hash(secret), created_at=_now())
        self.storage.create(layout.api_key(f"{INVITE}-{id_}"), document.to_bytes())
        return f"{id_}.{secret}"

    def is_invited(self, token: str) -> bool:
        """Says whether an invitation is right, unused, at most a day old, and no working key exists yet."""
        id_, _, secret = token.partition(".")
        if not re.fullmatch(r"[0-9a-f]{12}", id_) or self.storage.exists(layout.api_key(f"{INVITE}-{id_}-used")):
            return False
        try:
            document = _Secret.load(self.storage, layout.api_key(f"{INVITE}-{id_}"))
        except NotFound:
            return False
        age = (clock.now() - clock.parse_moment(document.created_at)).total_seconds()
        right = hmac.compare_digest(_hash(secret), document.secret)
        return right and age < INVITE_SECONDS and not self.has_working_key()

    def accept_invitation(self, token: str, name: str) -> str | None:
        """Uses an invitation up and returns the administrator's new token; None when it is no longer good."""
        if not self.is_invited(token):
            return None
        used = layout.api_key(f"{INVITE}-{token.partition('.')[0]}-used")
        if not create_if_absent(self.storage, used, b'{"schema": "1"}\n'):
            return None
        return self.add(name, ["admin"])


class _Secret(Document):
    """A secret (or the hash of one) with the time it was made."""

    secret: str
    created_at: str


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> str:
    return clock.iso(clock.now())


# -- commands ---------------------------------------------------------------------------------------------------------


@click.group("keys")
def group() -> None:
    """Keys for the HTTP interface: who may predict, label, read, administrate."""


@stage_command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), required=True, help="Repeat for several.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Most requests per second at one replica.")
def add_command(settings: Settings, name: str, roles: tuple[str, ...], rate: float | None) -> Outcome:
    """Makes a key for NAME and prints its token, once."""
    token = KeyRing(open_root(settings.need_root(), create=True)).add(name, roles, rate)
    text = f"{token}\nKeep it: it is shown once and stored nowhere. Send it as `Authorization: Bearer {token}`."
    return Outcome(document={"id": token.partition(".")[0], "name": name, "roles": sorted(set(roles)), "token": token},
                   text=text)


@stage_command("list")
def list_command(settings: Settings) -> Outcome:
    """Shows all keys, never their secrets."""
    keys = KeyRing(open_root(settings.need_root())).list_keys()
    lines = [f"{k.id:<28} {','.join(k.roles):<20} {k.created_at[:10]}  {k.name}" +
             (f"  revoked {k.revoked_at[:10]}" if k.revoked_at else "") for k in keys]
    return Outcome(document={"keys": [k.model_dump(exclude={"sha256"}) for k in keys]},
                   text="\n".join(lines) or "No keys. Make one: trueup keys add NAME --role admin")


@stage_command("revoke")
@click.argument("key_id")
def revoke_command(settings: Settings, key_id: str) -> Outcome:
    """Ends the key KEY_ID; a running service refuses it within seconds."""
    key = KeyRing(open_root(settings.need_root())).revoke(key_id.partition(".")[0])
    return Outcome(document={"id": key.id, "revoked_at": key.revoked_at}, text=f"{key.id} ({key.name}) is revoked.")


for _command in (add_command, list_command, revoke_command):
    group.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup keys` and returns its exit code."""
    return run(group, argv, prog_name="trueup keys")


if __name__ == "__main__":
    sys.exit(main())
