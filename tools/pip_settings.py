"""What the user told pip about package indexes, in the words of uv, which does not read pip's configuration."""

import ast
import os
import subprocess

# pip's setting -> uv's variable. A list is joined by uv's own separator for it.
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}
# Later ones win, as in pip: a section for all commands, the one for `pip install`, the environment.
SECTIONS = ("global", "install", ":env:")


def read(python: str) -> dict[str, list[str]]:
    """Read pip's merged settings, from files and environment, by name."""
    listing = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    return parse(listing)


def parse(listing: str) -> dict[str, list[str]]:
    """Parse the settings in the output of `pip config list`: a line each, `section.name='value'`."""
    found = []
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if equals and section in SECTIONS:
            found.append((SECTIONS.index(section), name, str(ast.literal_eval(value)).split()))
    return {name: value for _, name, value in sorted(found)}


def for_uv(settings: dict[str, list[str]], environ: dict[str, str]) -> dict[str, str]:
    """Return the variables that make uv look where pip looks. What is set in `environ` already stays."""
    wanted = {}
    for name, (variable, separator) in VARIABLES.items():
        values = settings.get(name, [])
        if name == "find-links":
            # pip passes over a folder that does not exist, uv stops at it.
            values = [value for value in values if "://" in value or os.path.isdir(value)]
        if values:
            wanted[variable] = separator.join(values)
    if "UV_INDEX" in wanted:
        # pip takes the best version of all indexes; uv by default stops at the first index that has the name.
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("no-index", ["0"])[0].lower() in ("1", "true", "yes", "on"):
        wanted["UV_NO_INDEX"] = "1"
    return {variable: value for variable, value in wanted.items() if variable not in environ}
