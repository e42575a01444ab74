"""What `/models` says of versions, and what people decide there."""
