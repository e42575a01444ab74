"""Every document in the bucket has a published JSON schema that is up to date."""

from pathlib import Path

import pytest

from contract import jsonio
from contract.documents import schemas

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "schemas"


@pytest.mark.parametrize("name", sorted(schemas.PUBLISHED))
def test_the_published_schema_is_up_to_date(name):
    published = (FOLDER / f"{name}.schema.json").read_bytes()
    assert published == jsonio.dumps(schemas.schema(name)), "run: python -m contract.documents.schemas docs/schemas"


def test_every_schema_is_of_a_document_and_says_what_it_requires():
    assert sorted(p.name for p in FOLDER.iterdir()) == sorted(f"{n}.schema.json" for n in schemas.PUBLISHED)
    assert all(schemas.schema(n)["type"] == "object" for n in schemas.PUBLISHED)
