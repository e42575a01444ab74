"""`/images/<sha256>`: a stored image, with the type found by decoding, in a sandbox."""

from __future__ import annotations

import io

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from contract.ids import is_sha256
from inference.auth import Caller, Refused, require
from inference.pages.site import Site, run_in_thread
from inference.pictures.thumbnails import read_picture

# Pillow's format -> media type; anything else that lies there is not shown.
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp",
         "TIFF": "image/tiff", "MPO": "image/jpeg"}
HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff",
           "Cross-Origin-Resource-Policy": "same-origin", "Content-Disposition": "inline",
           "Cache-Control": "private, max-age=300"}  # short: an erased image must go


def make_router(site: Site) -> APIRouter:
    """Makes the route of the stored images, for those who label or read."""
    router = APIRouter()

    @router.get("/images/{sha256}")
    async def image(sha256: str, caller: Caller = Depends(require("label", "read"))) -> Response:
        if not is_sha256(sha256):
            raise Refused(404, "no_image", "expected a sha256 of 64 hex digits.")
        data = await run_in_thread(read_picture, site.storage, sha256)
        shown = await run_in_thread(_make_visible, data) if data else None
        if shown is None:
            raise Refused(404, "no_image", "there is no such image; it was not stored, expired, or was erased.")
        return Response(shown[0], media_type=shown[1], headers=HEADERS)

    return router


def _make_visible(data: bytes) -> tuple[bytes, str] | None:
    """Returns what browsers can show, and its media type: of grey with 16 bits a PNG from its darkest value to the brightest."""
    from PIL import Image, ImageOps

    from inference.model import grey16

    try:
        with Image.open(io.BytesIO(data), formats=list(TYPES)) as image:
            if not grey16.is_wide(image):
                return data, TYPES[image.format or ""]
            out = io.BytesIO()
            grey16.make_visible(grey16.read_values(ImageOps.exif_transpose(image))).save(out, "PNG")
            return out.getvalue(), "image/png"
    except Exception:  # Pillow raises many kinds for bytes that are no image; none of them is shown
        return None
