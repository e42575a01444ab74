"""A page of another origin calls the API from a real browser: allowed where the setting names it, refused elsewhere."""

import http.server
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from contract.storage import open_root
from inference.keys import KeyRing
from tests.inference.published import publish_tiny
from tests.inference.serving import serving

pytestmark = pytest.mark.slow("browser")
# A picture is drawn, sent with a key and headers of our own (so the browser asks first), and a label after it.
CALL = """async ([api, key]) => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 40;
  canvas.getContext('2d').fillRect(5, 5, 20, 20);
  const picture = await new Promise(done => canvas.toBlob(done, 'image/png'));
  const head = {'Authorization': 'Bearer ' + key};
  const answer = await fetch(api + '/v1/predictions', {method: 'POST', body: picture,
    headers: {...head, 'Content-Type': 'image/png', 'X-Request-Id': 'r1', 'X-Attributes': '{"site": "shop"}'}});
  const said = await answer.json();
  const label = await fetch(api + '/v1/labels', {method: 'POST', headers: {...head, 'Content-Type': 'application/json'},
    body: JSON.stringify({prediction_id: said.prediction_id, label: 'a'})});
  return [answer.status, label.status, said.model_version];
}"""


@contextmanager
def shop(folder):
    """Somebody else's site, on a port and so an origin of its own."""
    (folder / "index.html").write_text("<!doctype html><title>Shop</title>")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def called(browser, origin: str, api: str, key: str):
    """What a page of `origin` gets from the API; None when the browser keeps the answer from it."""
    from playwright.sync_api import Error

    page = browser.new_page()
    try:
        page.goto(origin)
        return page.evaluate(CALL, [api, key])
    except Error as error:
        assert "Failed to fetch" in str(error)
        return None
    finally:
        page.close()


def test_a_page_of_a_named_origin_may_call_and_others_may_not(browser, tmp_root, tmp_path):
    publish_tiny(tmp_root)
    ring = KeyRing(open_root(tmp_root))
    key = ring.add("shop", ["predict", "label"])
    with shop(tmp_path) as friend:
        with serving(tmp_root, tmp_path / "o1", f'serve.cors_origins=["{friend}"]', keyring=ring) as client:
            api = str(client.base_url).rstrip("/")
            assert called(browser, friend, api, key) == [200, 201, "1"]
            assert called(browser, friend.replace("127.0.0.1", "localhost"), api, key) is None  # another origin
        with serving(tmp_root, tmp_path / "o2", keyring=ring) as client:  # the default allows nobody
            assert called(browser, friend, str(client.base_url).rstrip("/"), key) is None
