import re

import pytest

from tests.inference.published import publish_tiny
from tests.inference.serving import serving


@pytest.fixture
def client(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as made:
        yield made


def test_the_api_page_loads_nothing_from_elsewhere_and_has_examples(client):
    page = client.get("/docs")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*?(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) > 2 and all(re.match("/[^/]", address) for address in loaded)
    assert "<script" not in page.text and all(client.get(address).status_code == 200 for address in loaded)
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        assert all(f"{method.upper()} {path}" in page.text for method in methods)
    assert "-F image=@picture.jpg" in page.text and "X-Attributes" in page.text and "needs a key" in page.text
    assert "&#34;label_ids&#34;" in page.text and "&#34;code&#34;: &#34;bad_image&#34;" in page.text
