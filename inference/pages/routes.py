"""All pages, added to the application.

    add_pages(app, service, keyring)   # /overview, /, /audit, /review, /me, /pictures, /models, /reports, /login, …
"""

from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from inference.auth import Keys
from inference.pages import (
    audit,
    classify,
    decide,
    docs,
    images,
    login,
    me,
    models,
    overview,
    picture_exports,
    pictures,
    reports,
    review,
    suspects,
)
from inference.pages.problems import Handler, add_problem_handlers
from inference.pages.site import HERE, Service, Site
from inference.pictures.room import Room


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
    room = Room(service.storage, service.settings)
    for part in (pictures, picture_exports, suspects):
        app.include_router(part.make_router(site, room), include_in_schema=False)
    return site
