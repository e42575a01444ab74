"""From an image's bytes to an answer: what is served is what is trained and assessed, so other rooms import this one."""
