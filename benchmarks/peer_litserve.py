"""LitServe with batches of 8 and our predictor, on $PORT with the root of $ROOT: a peer of `benchmarks.serving`.

A file of its own, because LitServe's workers are started anew and import the class by its module.
"""

import os

import litserve as ls
import torch

from benchmarks.serving import load_version


class Api(ls.LitAPI):
    """Decodes in the worker that computes, as LitServe's examples do."""

    def setup(self, device: str) -> None:
        """Loads version 1."""
        self.predictor = load_version()

    def decode_request(self, request):  # noqa: ANN001, ANN201
        """The network's input."""
        return self.predictor.prepare(request["image"].file.read())

    def predict(self, batch):  # noqa: ANN001, ANN201
        """Rows of probabilities."""
        return self.predictor.probabilities(torch.stack(list(batch)))

    def encode_response(self, row):  # noqa: ANN001, ANN201
        """Top 5."""
        return self.predictor.top(row, 5)


def serve() -> None:
    """Serves until it is killed."""
    server = ls.LitServer(Api(max_batch_size=8, batch_timeout=0.01), accelerator="cpu", timeout=120)
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False, log_level="error")


if __name__ == "__main__":
    serve()
