"""Remove passwords and tokens from everything that is shown, logged or stored.

A secret is recognised in two ways. *By value*: in a config it is known where an address begins and ends, so its secret
parts are known, too, whatever characters they have; `remember_secrets` keeps them, and wherever they turn up later, in
whatever spelling, they are replaced. *By form*: an address in any other text is cut down to scheme, host and port.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SHORTEST_SECRET = 4  # shorter ones would be found in ordinary words; they are removed from addresses only
SHORTEST_TOKEN = 8  # of a path or query, where nothing says what is secret

_SCHEME = re.compile(r"\s*([A-Za-z][\w+.-]*):(?://|/?(?=.*@))", re.DOTALL)  # one slash or none: a slip
_SLIP_IN_PATH = re.compile(r"([A-Za-z][\w+.-]*:/).*@.*", re.DOTALL)  # the same after it was taken for a relative path
_HOST = re.compile(r"(?:[\w.-]+|\[[\w:.%]+\])(?::\d{1,5})?")
_USER_AND_REFERENCES = re.compile(r"[^:@]*:(?:ꟿ\d+ꟿ)+")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")  # of config/references.py: it names a secret, and is none
_ADDRESS_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]*:(?://[^\s]*|/?[^\s/@]*:[^\s]*@[^\s]*)")
_NAME = r"(?:passw|pass|pwd|secret|token|api_?key|auth|credential|sig|user|login)"
_NAMED_IN_TEXT = re.compile(rf"([\w-]*{_NAME}[\w-]*=)([^\s&;,'\"<>#/?)]+)", re.IGNORECASE)
_NAMED_IN_ADDRESS = re.compile(rf"{_NAME}[^=/?&#]*=", re.IGNORECASE)
_TOKEN = re.compile(rf"(?=[^/?&#;=]*\d)(?=[^/?&#;=]*[A-Za-z])[^/?&#;=]{{{SHORTEST_TOKEN},}}")


class _Secrets:
    """What this process must not show; shared by all runs, because a secret of one may turn up in another's log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, str] = {}  # secret, in all spellings → what is shown instead
        self._pattern: re.Pattern[str] | None = None  # of all of them; None: to be compiled

    def add(self, secret: str, shown: str) -> None:
        """Replace a secret by `shown` from now on; its first replacement stays."""
        with self._lock:
            for one in _spellings(secret):
                if len(one) >= SHORTEST_SECRET and one not in self._shown:
                    self._shown[one] = shown
                    self._pattern = None

    def removed(self, text: str) -> str:
        """The text without them."""
        with self._lock:
            if not self._shown:
                return text
            if self._pattern is None:
                longest_first = sorted(self._shown, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            return self._pattern.sub(lambda found: self._shown[found[0]], text)


_secrets = _Secrets()


def remember_secrets(value: object) -> None:
    """Take every address in a config apart, and remove its secret parts from all texts from now on.

    Args:
        value: an address or another text, or nested mappings and lists of them.
    """
    if isinstance(value, dict):
        for one in value.values():
            remember_secrets(one)
    elif isinstance(value, list | tuple):
        for one in value:
            remember_secrets(one)
    elif isinstance(value, str) and (shown := address_without_credentials(value)) != value:
        _secrets.add(value, shown)
        for secret in _secret_parts(value):
            _secrets.add(secret, HIDDEN)


def remember_expansion(reference: str, value: str) -> None:
    """Show `reference`, such as `${CAM_PASSWORD}`, wherever the value that it stands for would appear."""
    if value.strip():
        _secrets.add(value, address_without_credentials(reference))


def without_credentials(text: str) -> str:
    """A message with known secrets replaced, and every address in it cut down to scheme, host and port."""
    text = _ADDRESS_IN_TEXT.sub(_address_in_text, _secrets.removed(text))
    return _NAMED_IN_TEXT.sub(rf"\1{HIDDEN}", text)


def values_without_credentials(value: object) -> object:
    """A copy of results, nested mappings and lists, with credentials removed from every text but the keys."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {key: values_without_credentials(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [values_without_credentials(one) for one in value]
    return value


def config_without_credentials(value: object) -> object:
    """A copy of a config with credentials removed from every address; all other texts stay as they are.

    A password that is also an ordinary word may be part of another key's path, which a rendering needs to be whole.
    """
    if isinstance(value, str):
        shown = address_without_credentials(value)
        return _SLIP_IN_PATH.sub(rf"\1{HIDDEN}", value) if shown == value else shown
    if isinstance(value, dict):
        return {key: config_without_credentials(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [config_without_credentials(one) for one in value]
    return value


def address_without_credentials(value: str) -> str:
    """Scheme, host and port, if the whole text is an address; `scheme://***` if its host is uncertain.

    Paths and queries are left out, because cameras accept passwords and tokens there. Which part is the host is
    uncertain if an @ comes after the first slash: it may belong to a password with a slash, or to a path with an @.
    An address without host and credentials is a path, such as `sqlite:///people.db`, and stays as it is.
    """
    references: list[str] = []

    def keep(found: re.Match[str]) -> str:
        references.append(found[0])
        return f"ꟿ{len(references) - 1}ꟿ"

    begin = _SCHEME.match(value)
    if begin is None:
        return value
    rest = _REFERENCE.sub(keep, value[begin.end() :])
    authority, tail = _split(rest)
    if not authority and not re.search(r"[@?#=]", tail):
        return value
    user_info, _, host = authority.rpartition("@")
    if "@" in unquote(tail) or not _HOST.fullmatch(host):
        return f"{begin[1]}://{HIDDEN}"
    user = f"{user_info}@" if _USER_AND_REFERENCES.fullmatch(user_info) else ""
    shown = f"{begin[1]}://{user}{host}{'/...' if tail.strip('/') else tail[:1]}"
    return re.sub(r"ꟿ(\d+)ꟿ", lambda found: references[int(found[1])], shown)


class CleanLogRecord(logging.LogRecord):
    """A log record without credentials, whichever library logs it; give it to `logging.setLogRecordFactory`."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The message without credentials."""
        return without_credentials(super().getMessage())


def _split(rest: str) -> tuple[str, str]:
    """What follows `scheme://`, divided into the authority and the rest, as RFC 3986 and FFmpeg do it."""
    end = re.search(r"[/?#\\]", rest)
    return (rest[: end.start()], rest[end.start() :]) if end else (rest, "")


def _secret_parts(address: str) -> Iterator[str]:
    """Every part of an address that may be a secret, under each way of reading it."""
    begin = _SCHEME.match(address)
    rest = address[begin.end() :] if begin else address
    authority, tail = _split(rest)
    yield rest
    for part in {authority, rest}:  # the second way: a password with a slash, up to the last @
        user_info, at, _ = part.rpartition("@")
        password = user_info.partition(":")[2]
        if at:
            yield from (user_info, password, *re.split(r"[/?#@:\\\s]+", password))
    yield tail.lstrip("/?#")
    for name in _NAMED_IN_ADDRESS.finditer(rest):
        value = rest[name.end() :]
        yield from (value, value.partition("&")[0], *re.split(r"[&/?#;]", value)[:1])
    yield from (token[0] for token in _TOKEN.finditer(tail))


def _spellings(secret: str) -> set[str]:
    """How libraries may write a secret: percent-encoded, decoded, as JSON, as a Python literal."""
    plain = {secret, secret.strip(), unquote(secret), unquote_plus(secret)}
    safe = "", "/", ":@/?=&"
    encoded = {quote(one, kept) for one in plain for kept in safe} | {quote_plus(one) for one in plain}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), one) for one in encoded}
    quoted = {form[1:-1] for one in plain for form in (json.dumps(one), json.dumps(one, ensure_ascii=False), repr(one))}
    return plain | encoded | lower | quoted


def _address_in_text(found: re.Match[str]) -> str:
    text = found[0]
    address = text.rstrip(".,:;!)]>'\"")  # the sentence's, not the address's
    shown = address_without_credentials(address)
    if _SCHEME.match(address) is None:  # `camera:rtsp://...`
        shown = f"{address.partition(':')[0]}:{HIDDEN}"
    return shown + text[len(address) :]
