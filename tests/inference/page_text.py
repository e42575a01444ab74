"""Reads a page as its tests do: its words, and what its forms would send unseen."""

import html
import re


def words(page) -> str:
    """All words of an answer's page, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def fields(page) -> dict[str, str]:
    """The hidden fields of all forms of a page, which is an answer or its text."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', getattr(page, "text", page))
    return {name: html.unescape(value) for name, value in found}
