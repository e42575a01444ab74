"""From an image's bytes to an answer: what is served is what is trained and assessed, so `training` and `jobs` import it, too."""
