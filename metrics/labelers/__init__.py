"""How well each labeler labels, estimated from all votes at once (docs/labelers.md)."""
