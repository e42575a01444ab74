"""Pictures that a caller names by URL: what may be fetched, and fetching it (docs/by-url.md)."""
