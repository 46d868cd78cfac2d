"""Remove user names, passwords and queries from addresses before they are shown, logged or stored."""

from __future__ import annotations

import re

_USER_INFO = re.compile(r"((?:[A-Za-z][\w+.-]*)?://)[^\s]*@")  # greedy: a password may itself contain / or @
_QUERY = re.compile(r"([A-Za-z][\w+.-]*://[^\s?#]*)[?#][^\s]*")  # cameras accept user=...&password=... here
_SECRET_IN_PATH = re.compile(r"([A-Za-z][\w+.-]*://[^\s/]*)/[^\s]*(?:passw|pwd|user=)[^\s]*", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """The text with user names, passwords and queries removed from every address in it."""
    text = _USER_INFO.sub(r"\1", text)
    text = _QUERY.sub(r"\1", text)
    return _SECRET_IN_PATH.sub(r"\1/...", text)


def values_without_credentials(value: object) -> object:
    """A copy of nested mappings and lists with credentials removed from every text."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {key: values_without_credentials(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [values_without_credentials(one) for one in value]
    return value
