"""What `trueup verify` checks besides counting: decisions, cards, the history and its signatures, bundles."""
