"""A version that answers a share of the predictions before it is live: its documents, and how the history changes them."""
