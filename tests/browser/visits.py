"""What several tests in a browser do: sign in, and ask axe what is wrong with a page."""

from urllib.parse import quote


def sign_in(page, address, token, to=""):
    """Signs in with a key; `to`: the path that the login leads to, instead of where that key lands."""
    page.goto(f"{address}/login{f'?next={quote(to)}' if to else ''}")
    page.fill("#key", token)
    page.click("main button")
    page.wait_for_load_state()


def violations(page):
    """What axe says is wrong, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {n['html'][:120]}" for v in found for n in v["nodes"]]
