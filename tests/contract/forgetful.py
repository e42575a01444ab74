"""A store that does not honour conditional writes, as some that speak S3's language do not."""

from contract.stores.local import LocalStorage


class Forgetful(LocalStorage):
    """Creates again what is there already."""

    def create(self, key, data):
        self.put(key, data)
