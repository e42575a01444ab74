import pytest

from contract.texts.pictures_link import link_to_pictures


def test_a_cell_leads_to_its_pictures_whatever_its_names():
    link = link_to_pictures("digits & letters", {"label": "ß/8", "predicted": "3", "version": "2"}, {"camera": "north 1"})
    assert link == (
        "/pictures?model=digits+%26+letters&version=2&predicted=3&label=%C3%9F%2F8&attribute.camera=north+1"
    )


def test_a_filter_that_the_page_does_not_know_is_refused():
    with pytest.raises(ValueError, match="filtered by version, .*, not by colour"):
        link_to_pictures("digits", {"colour": "red"})
