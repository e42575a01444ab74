"""API keys as documents in the bucket, so that all replicas share them (`python -m inference.keys add NAME --role R`).

A token is `<id>.<secret>`; only the sha256 of the secret (256 random bits, so nothing to guess) is stored. The service
knows all documents (inference/known_keys.py) and asks the store every `CACHE_SECONDS` what has changed: a revoked key works
until the next listing has come and its document is read, some seconds in all; while the store is out of reach, for
`serve.keys_max_age_s`.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.options import FiniteRange
from command.process import end_with
from contract import clock, layout
from contract.documents.document import Document
from contract.errors import BadLabel, DamagedDocument, NotFound, UsageError, pass_over
from contract.labels import normalise
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage, create_if_absent
from inference.auth import ROLES, Caller
from inference.known_keys import KnownKeys
from inference.sessions import EndedSessions
from inference.telemetry import log_event

CACHE_SECONDS = 3.0
MAX_AGE_S = 24 * 3600.0
INVITE_SECONDS = 24 * 3600
LONGEST_NAME = 100
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
    may_name_labelers: bool = False  # stands for several people; keys made before this field existed do not

    def to_caller(self) -> Caller:
        """Makes the caller that a request with this key is from."""
        return Caller(self.id, self.name, frozenset(self.roles), self.rate, self.may_name_labelers)


class Secret(Document):
    """A secret (or the hash of one) with the time it was made."""

    secret: str
    created_at: str


class KeyRing:
    """The keys of one root. `async` methods and `peek_session_secret` answer from memory; others read the store, and block."""

    def __init__(self, storage: Storage, cache_seconds: float = CACHE_SECONDS, max_age_s: float = MAX_AGE_S,
                 reader: Storage | None = None) -> None:
        """`cache_seconds`: how long nothing is asked again; `max_age_s`: how long keys work that cannot be asked again.

        `reader`: the same root, opened so that it gives up soon; what requests need is read there.
        """
        self.storage, self._reader = storage, reader or storage
        self.ended = EndedSessions(storage)
        self.known: KnownKeys[Key | Secret] = KnownKeys(self._list_etags, self._read_document, cache_seconds, max_age_s)

    # -- keys -------------------------------------------------------------------------------------------------------

    def add(self, name: str, roles: Iterable[str], rate: float | None = None, may_name_labelers: bool = False) -> str:
        """Makes a key and returns its token, which cannot be read again."""
        roles = sorted(set(roles))
        name = check_key(name, roles, may_name_labelers)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "key"
        secret, id_ = secrets.token_urlsafe(32), f"{slug}-{secrets.token_hex(3)}"
        key = Key(id=id_, name=name, roles=roles, sha256=_hash(secret), created_at=_now(), rate=rate,
                  may_name_labelers=may_name_labelers)
        self.storage.create(layout.api_key(id_), key.to_bytes())
        return f"{id_}.{secret}"

    def list_keys(self) -> list[Key]:
        """Reads all keys, revoked ones too, by id; one that cannot be read is named, and passed over."""
        return self._read_all()[0]

    def _read_all(self) -> tuple[list[Key], int]:
        """Returns all keys by id, and how many cannot be read."""
        keys, damaged = [], 0
        for entry in self.storage.list(layout.api_keys()):
            if not KEY_ID.fullmatch(layout.api_key_of(entry.key) or ""):
                continue
            try:
                keys.append(Key.load(self.storage, entry.key))
            except NotFound:  # removed while we looked
                continue
            except DamagedDocument as error:
                pass_over(error)
                damaged += 1
        return keys, damaged

    def revoke(self, key_id: str) -> Key:
        """Ends a key; replicas that reach the store refuse it within seconds. Revoked again, nothing changes."""
        key = self._read_key(key_id)
        if key is None:
            raise UsageError(f"there is no key {key_id!r}. `trueup keys list` shows all ids.")
        if key.revoked_at is None:
            key = key.model_copy(update={"revoked_at": _now()})
            self.storage.put(layout.api_key(key_id), key.to_bytes())
        self.known.forget(key_id)
        return key

    def has_working_key(self) -> bool:
        """Says whether a key exists that still works, or may: a damaged one must not let a stranger become administrator."""
        keys, damaged = self._read_all()
        return damaged > 0 or any(k.revoked_at is None for k in keys)

    def _read_key(self, key_id: str) -> Key | None:
        try:
            return Key.load(self.storage, layout.api_key(key_id)) if KEY_ID.fullmatch(key_id) else None
        except NotFound:
            return None

    # -- checks -----------------------------------------------------------------------------------------------------

    async def identify(self, token: str) -> Caller | None:
        """Returns the caller of a token; None when it is unknown, wrong or revoked.

        Refused (503): the store does not say in time.
        """
        id_ = token.partition(".")[0]
        return judge(token, await self._find_key(id_))

    async def identify_session(self, key_id: str, person: str | None = None) -> Caller | None:
        """Returns the caller of a key that a signed session names; None when it was revoked. `person`: whom of its people.

        Refused (503).
        """
        key = await self._find_key(key_id)
        return replace(key.to_caller(), person=person) if key and key.revoked_at is None else None

    async def _find_key(self, key_id: str) -> Key | None:
        document = await self.known.find(key_id) if KEY_ID.fullmatch(key_id) else None
        return document if isinstance(document, Key) else None

    def _list_etags(self) -> Mapping[str, str]:
        etags = {layout.api_key_of(e.key): e.etag for e in self._reader.list(layout.api_keys())}
        if not etags:
            self._reader.read(layout.MARKER)  # a root that is not mounted shows no keys; that is no word about them
        self.ended.note(id_ for id_ in etags if id_)
        return {id_: etag for id_, etag in etags.items() if id_ and (id_ == SESSION or KEY_ID.fullmatch(id_))}

    def _read_document(self, id_: str) -> Key | Secret | None:
        try:
            return (Secret if id_ == SESSION else Key).load(self._reader, layout.api_key(id_))
        except NotFound:
            return None
        except (DamagedDocument, ValueError) as error:  # one damaged document must not stop the others
            log_event("key document is damaged", logging.ERROR, key=id_, error=str(error))
            return None

    # -- sessions and the first administrator -----------------------------------------------------------------------

    def read_session_secret(self) -> bytes:
        """Reads the bytes that sign page sessions: made once per root, shared by all replicas."""
        return bytes.fromhex(self._make_session_secret().secret)

    def _make_session_secret(self) -> Secret:
        key = layout.api_key(SESSION)
        create_if_absent(self.storage, key, Secret(secret=secrets.token_hex(32), created_at=_now()).to_bytes())
        return Secret.load(self.storage, key)

    async def find_session_secret(self) -> bytes:
        """Returns the same, from memory once it was read. Refused (503) when the store does not say in time."""
        if (secret := self.peek_session_secret()) is not None:
            return secret
        document = await self.known.find(SESSION) or await self.known.ask(SESSION, self._make_session_secret)
        assert isinstance(document, Secret)  # no other document lies under that id
        return bytes.fromhex(document.secret)

    def peek_session_secret(self) -> bytes | None:
        """Returns the same if it is known already; never asks."""
        document = self.known.peek(SESSION)
        return bytes.fromhex(document.secret) if isinstance(document, Secret) else None

    def invite(self) -> str | None:
        """Makes a token for the one-time link that makes the first administrator.

        None when a working key exists.
        """
        if self.has_working_key():
            return None
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        document = Secret(secret=_hash(secret), created_at=_now())
        self.storage.create(layout.api_key(f"{INVITE}-{id_}"), document.to_bytes())
        return f"{id_}.{secret}"

    def is_invited(self, token: str) -> bool:
        """Says whether an invitation is right, unused, at most a day old, and no working key exists yet."""
        id_, _, secret = token.partition(".")
        if not re.fullmatch(r"[0-9a-f]{12}", id_) or self.storage.exists(layout.api_key(f"{INVITE}-{id_}-used")):
            return False
        try:
            document = Secret.load(self.storage, layout.api_key(f"{INVITE}-{id_}"))
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


def judge(token: str, key: Key | None) -> Caller | None:
    """Returns the caller of a token whose id is that of `key`; None when it is unknown, wrong or revoked.

    Compares in constant time.
    """
    secret = token.partition(".")[2]
    # An unknown id costs the same comparison as a wrong secret.
    right = hmac.compare_digest(_hash(secret), key.sha256 if key else _hash(""))
    return key.to_caller() if key and right and key.revoked_at is None else None


def check_key(name: str, roles: Sequence[str], may_name_labelers: bool = False) -> str:
    """Returns the name, normalised as labels are; UsageError for a name, roles or rights that no key can have."""
    unknown = [r for r in roles if r not in ROLES]
    if unknown or not roles:
        raise UsageError(f"expected roles among {', '.join(ROLES)}, got {', '.join(unknown) or 'none'}.")
    if may_name_labelers and not {"label", "admin"} & set(roles):
        raise UsageError(f"--may-name-labelers: expected the role label beside it, got {', '.join(roles)}.")
    try:
        name = normalise(name)
    except BadLabel as error:
        raise UsageError(f"the name of a key: {error}") from None
    if len(name) > LONGEST_NAME:
        raise UsageError(f"expected a name of 1 to {LONGEST_NAME} characters, got {len(name)}.")
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _now() -> str:
    return clock.iso(clock.now())


# -- commands ---------------------------------------------------------------------------------------------------------


@click.group("keys", cls=Group)
def group() -> None:
    """Keys for the HTTP interface: who may predict, label, read, administrate."""


@stage_command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), required=True, help="Repeat for several.")
@click.option("--rate", type=FiniteRange(min=0, min_open=True), help="Most requests per second at one replica.")
@click.option("--may-name-labelers", is_flag=True, help="The key stands for several people, and says who judged. Without it "
              "a key is one person.")
def add_command(settings: Settings, name: str, roles: tuple[str, ...], rate: float | None,
                may_name_labelers: bool) -> Outcome:
    """Makes a key for NAME and prints its token, once."""
    check_key(name, roles, may_name_labelers)  # before there is a root
    token = KeyRing(open_root(settings.need_root(), create=True)).add(name, roles, rate, may_name_labelers)
    text = f"{token}\nKeep it: it is shown once and stored nowhere. Send it as `Authorization: Bearer {token}`."
    return Outcome(document={"id": token.partition(".")[0], "name": name, "roles": sorted(set(roles)),
                             "may_name_labelers": may_name_labelers, "token": token}, text=text)


@stage_command("list")
def list_command(settings: Settings) -> Outcome:
    """Shows all keys, never their secrets."""
    keys = KeyRing(open_root(settings.need_root())).list_keys()
    lines = [f"{k.id:<28} {','.join(k.roles):<20} {k.created_at[:10]}  {k.name}" +
             ("  names labelers" if k.may_name_labelers else "") +
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
    end_with(main)
