"""The made-up pictures that a version, or a hook, is asked before it answers anybody."""

import io

from inference.model import grey16

SIZE, SEED = (64, 80), 0  # height and width: no network is made for this shape, so preprocessing has something to do


def make_trial_picture() -> bytes:
    """Makes a PNG of noise, always the same."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(SEED).integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def make_wide_trial_picture() -> bytes:
    """Makes a PNG of noise in grey of 16 bits, always the same."""
    import numpy as np

    return grey16.write_png(np.random.default_rng(SEED).integers(0, grey16.WHITE + 1, SIZE))
