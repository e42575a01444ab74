"""A web server of this machine that misbehaves by order, over HTTP or TLS, and a resolver that answers what a test wants."""

import asyncio
import datetime
import ipaddress
import socketserver
import ssl
import threading
from contextlib import contextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.settings import ServeSettings
from inference.fetching.errors import NotFetched
from inference.fetching.fetcher import Fetcher, make_tls

DEFAULT_TLS = make_tls(None)  # takes a tenth of a second
HOST = "pictures.test"  # which no real resolver knows


class Web(socketserver.ThreadingTCPServer):
    """Answers a path by `pages`: bytes of a whole answer, or a function of the socket; `requests` has each head that came."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, pages, tls=None):
        self.pages, self.tls, self.requests, self.errors = pages, tls, [], []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]

    def handle_error(self, request, client_address):
        """Callers hang up; that is what many tests are about."""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        connection = self.request
        connection.settimeout(20)
        if self.server.tls:
            connection = self.server.tls.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
            head += more
        self.server.requests.append(head.decode("latin-1"))
        page = self.server.pages[head.split(b" ")[1].decode().partition("?")[0]]
        page(connection) if callable(page) else connection.sendall(page)
        connection.close()


@contextmanager
def web(pages, tls=None):
    """Serves the pages; yields the server."""
    server = Web(pages, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def answer(body, *headers, status="200 OK", length=True):
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location, status="302 Found"):
    """An answer that leads elsewhere."""
    return answer(b"", f"Location: {location}", status=status)


class Names:
    """A resolver: `names` has the addresses of each host, or a list of such lists, of which each call takes the next."""

    def __init__(self, **names):
        self.names, self.asked = {key.replace("_", "."): value for key, value in names.items()}, []

    def __call__(self, host, port):
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError(f"{host} is not known")
        if callable(found):
            return found()
        return found.pop(0) if found and isinstance(found[0], list) else found


def fetch(url, names, root="/nowhere", reserve=lambda size: None, **settings):
    """Fetches as the service does; returns what came, or the reason why nothing did."""
    async def run():
        tls = None if "url_ca_file" in settings else DEFAULT_TLS
        return await Fetcher(ServeSettings(**settings), root, names, tls).fetch(url, reserve)

    try:
        return asyncio.run(run())
    except NotFetched as error:
        return str(error)


def make_certificate(folder, names, stem="server", days=1):
    """A certificate authority and a certificate of these names: (TLS of a server, path of the authority's PEM)."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("test authority", "test"))

    def start(subject, public):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
                .not_valid_after(now + datetime.timedelta(days=days)))

    ca = (start(ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, None), True)
          .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False).sign(ca_key, hashes.SHA256()))
    of = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    leaf = start(name, key.public_key()).add_extension(x509.SubjectAlternativeName(of), False).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / f"{stem}-ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / f"{stem}.pem").write_bytes(leaf.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / f"{stem}.pem")
    return tls, str(folder / f"{stem}-ca.pem")
