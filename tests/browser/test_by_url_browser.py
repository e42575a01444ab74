"""The page for classifying has a field for a URL where the service takes URLs."""

import pytest

from inference.fetching.fetcher import Fetcher
from tests.inference.fetching.web import DEFAULT_TLS, HOST, Names, answer, web
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving

pytestmark = pytest.mark.slow("browser")


@pytest.fixture
def client(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with web({"/p.jpg": answer(picture(3))}) as far:
        sets = (f"serve.urls=['{HOST}:{far.port}']", "serve.url_http=true", "serve.url_networks=[127.0.0.1]")
        with serving(tmp_root, tmp_path / "o", *sets) as made:
            names = Names(pictures_test=["127.0.0.1"])
            made.service.fetcher = Fetcher(made.service.settings.serve, tmp_root, names, DEFAULT_TLS)
            made.far = f"http://{HOST}:{far.port}/p.jpg"
            yield made


def test_the_page_classifies_a_picture_by_its_url(client, browser):
    page, errors = browser.new_context().new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(str(client.base_url))
    page.fill("#url", f"{client.far}?sig=secret")
    page.click("#by-url button")
    page.wait_for_selector("#answers li")
    direct = client.post("/v1/predictions", content=picture(3), headers=IMAGE).json()
    assert [item.inner_text() for item in page.query_selector_all("#answers bdi")] == [p["label"] for p in direct["predictions"]]
    page.fill("#url", "https://other.test/p.jpg")
    page.click("#by-url button")
    page.wait_for_selector("#status.error")
    assert "No picture could be taken" in page.inner_text("#status") and page.is_hidden("#result")
    page.set_input_files("#file", files=[{"name": "x.jpg", "mimeType": "image/jpeg", "buffer": picture(4)}])
    page.wait_for_selector("#result:not([hidden])")
    assert page.is_visible("#preview") and errors == []
