"""The JSON documents in the bucket, each a model with a published schema."""
