"""An old day, whose rows and pictures may go by age, and a young one; and the ids of their predictions."""

from datetime import timedelta

from contract import clock, ids

OLD, YOUNG = (clock.day_of(clock.now() - timedelta(days=n)) for n in (50, 2))


def at_noon(day, n=0):
    """The moment of the day's prediction `n`."""
    return clock.parse_moment(f"{day}T12:00:00Z") + timedelta(seconds=n)


def find_id(day, n):
    """The id of the day's prediction `n`."""
    return ids.uuid7(at_noon(day, n), entropy=f"{day}{n}".encode()[-10:])
