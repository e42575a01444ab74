"""The looks that a service takes at a model, without its threads."""


def follow(live):
    """One look of each thread, and the next one at the live version, at which a canary begins that was loaded meanwhile."""
    live.follow_live()
    live.follow_beside()
    live.follow_live()
