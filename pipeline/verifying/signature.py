"""Ed25519 keys and signatures, of the library `cryptography`, which only this file imports.

    openssl genpkey -algorithm ed25519 -out key.pem      openssl pkey -in key.pem -pubout -out public.pem
"""

from types import ModuleType

from contract.errors import UsageError

HOW = "Make one: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem."


def sign(private_pem: bytes, message: bytes) -> tuple[str, str]:
    """(public key, signature), both in hex, of a message; `private_pem` is an unencrypted PKCS 8 file. UsageError."""
    ed25519, serialization = _load()
    try:
        key = serialization.load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"expected a private key of Ed25519 in PEM without a password, got {error}. {HOW}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"expected a private key of Ed25519, got one of another kind. {HOW}")
    return key.public_key().public_bytes_raw().hex(), key.sign(message).hex()


def read_public_key(public_pem: bytes) -> str:
    """The 32 bytes of a public key, in hex, from a PEM file. UsageError."""
    ed25519, serialization = _load()
    try:
        key = serialization.load_pem_public_key(public_pem)
    except (ValueError, TypeError) as error:
        raise UsageError(f"expected a public key of Ed25519 in PEM, got {error}. {HOW}") from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"expected a public key of Ed25519, got one of another kind. {HOW}")
    return key.public_bytes_raw().hex()


def is_signed(public_key: str, signature: str, message: bytes) -> bool:
    """Whether the signature (hex) is one of the key (hex) for the message; False for what is no key or signature."""
    ed25519, _ = _load()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def shorten_key(public_key: str) -> str:
    """What a key is called for short: its first 16 hex digits."""
    return public_key[:16]


def _load() -> tuple[ModuleType, ModuleType]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UsageError("signatures need the library cryptography, which is not here: pip install 'trueup[sign]'.") from None
    return ed25519, serialization
