"""All pages, added to the application.

    add_pages(app, service, keyring)   # /overview, /, /audit, /review, /me, /models, /reports, /login, /images/…, /docs
"""

from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from inference.auth import Keys
from inference.pages import audit, classify, decide, docs, images, login, me, models, overview, reports, review
from inference.pages.problems import Handler, add_problem_handlers
from inference.pages.site import HERE, Service, Site


def add_pages(app: FastAPI, service: Service, keyring: Keys, open_batches: int = 4,
              problems: Mapping[type[Exception], Handler] | None = None) -> Site:
    """Adds all pages to an application on which `inference.auth.install` was called.

    `open_batches`: of one sample, that a key may hold. `problems`: how errors beside refusals are answered to programs.
    """
    site = Site(service, keyring, open_batches)
    add_problem_handlers(app, site, problems or {})
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for page in (overview, classify, audit, review, me, models, decide, reports, login, images, docs):
        app.include_router(page.make_router(site), include_in_schema=False)
    return site
