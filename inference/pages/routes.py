"""All pages, added to the application.

    add_pages(app, service, keyring)      # /overview, /, /audit, /review, /pictures, /models, /reports, /login, …
"""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from inference.auth import Keys, Refused
from inference.pages import (
    audit,
    classify,
    docs,
    images,
    login,
    models,
    overview,
    picture_exports,
    pictures,
    reports,
    review,
)
from inference.pages.site import HERE, Service, Site
from inference.pictures.room import Room


def add_pages(app: FastAPI, service: Service, keyring: Keys, open_batches: int = 4) -> Site:
    """Adds all pages to an application on which `inference.auth.install` was called.

    `open_batches`: of one sample, that a key may hold.
    """
    site = Site(service, keyring, open_batches)
    app.add_exception_handler(Refused, site.show_refusal)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for page in (overview, classify, audit, review, models, reports, login, images, docs):
        app.include_router(page.make_router(site), include_in_schema=False)
    room = Room(service.storage, service.settings)
    for part in (pictures, picture_exports):
        app.include_router(part.make_router(site, room), include_in_schema=False)
    return site
