"""The web pages: rendered on the server, one module per page, no build step, nothing fetched from elsewhere."""
