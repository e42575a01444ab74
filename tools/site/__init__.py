"""The documentation as a site: `make docs`; mkdocs.yml names the hooks (docs/decisions/0018-documents-and-notebooks.md)."""
