"""What an object store's refusal means, in our kinds and words.

obstore tells HTTP statuses, the stores' own error codes and what the system said only inside its
texts, together with the insides of its Rust errors. So these, and which server was asked, are read
from there, and nothing else of it is passed on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from decube.kit.errors import (
    DecubeError,
    Denied,
    Exhausted,
    Internal,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_CAUSE: Final = re.compile(r"HTTP error: ([^\n]{1,200})")
_SERVER: Final = re.compile(r"Error performing [A-Z]+ https?://(?:[^/?#\s]*@)?([^/?#\s@]{1,200})")
# What the system, or the look-up of a name, said; else what kind of failure it is.
_SAID: Final = re.compile(
    r"(?:Os \{[^{}]*\bmessage|Custom \{\s*kind: \w+,\s*error): \"([^\"\n]{1,200})\""
)
_NOT_TRUSTED: Final = re.compile(r"InvalidCertificate\(\s*(\w+)")
_NO_ANSWER_IN_TIME: Final = re.compile(r"HttpError \{\s*kind: Timeout")

_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
_WHO_ARE_YOU: Final[Mapping[str, str]] = {
    "InvalidAccessKeyId": "the access key is not known",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is wrong",
    "AuthorizationHeaderMalformed": "the region, or the key, is wrong",
    "AuthenticationFailed": "the account key is wrong",
}
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_CREDENTIALS: Final = ("credential", "169.254.169.254", "metadata.google.internal", "token")
# What was asked for; where credentials come from tells of itself.
_ASKED_FOR: Final = re.compile(r"https?://(?!169\.254\.169\.254|metadata\.google\.internal)\S+")
_SET_CREDENTIALS: Final = (
    "credentials come from the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


def is_beyond_the_end(error: Exception) -> bool:
    """Tell whether a range was refused because the object is not that long."""
    return _status(str(error)) == "416"


def failure(what: str, url: str, key: str, error: Exception) -> DecubeError:
    """Return the kind of an error of obstore."""
    text = str(error)
    place = f"{url}/{key}" if key else url
    status = _status(text)
    code = found[1] if (found := _CODE.search(text)) else ""
    if isinstance(error, FileNotFoundError) and code not in _NO_BUCKET:
        return NotFound(f"there is no {place}")
    return _refusal(f"cannot {what} {place}", code, status) or _no_answer(
        f"cannot {what} {place}", text
    )


def _refusal(failed: str, code: str, status: str) -> DecubeError | None:
    """Return what an answer of the store means; None if there was no answer."""
    if code in _NO_BUCKET:
        return Invalid(f"{failed}: there is no such bucket", reason="no_bucket")
    if code in _WHO_ARE_YOU or status == "401":
        reason = _WHO_ARE_YOU.get(code, "it wants to know who asks")
        return Unauthenticated(f"{failed}: {reason}", hint=_SET_CREDENTIALS)
    if status == "403":
        return Denied(f"{failed}: these credentials may not ({code or status})")
    if code in _FULL:
        return Exhausted(f"{failed}: there is no room ({code})", reason="no_room")
    return Unavailable(f"{failed}: it answered {status} {code}".rstrip()) if status else None


def _no_answer(failed: str, text: str) -> DecubeError:
    """Return what it means that the store was not reached, or not even asked."""
    told = text.partition("Debug source")[0]
    if any(word in _ASKED_FOR.sub("", told).lower() for word in _CREDENTIALS):
        return Unauthenticated(f"{failed}: no credentials", hint=_SET_CREDENTIALS)
    if cause := _CAUSE.search(told):
        server = f"no answer from {found[1]}: " if (found := _SERVER.search(told)) else ""
        return Unavailable(f"{failed}: {server}{_reason(text) or cause[1].lower()}")
    return Internal(f"{failed}: {told.partition(chr(10))[0][:200]}")


def _reason(text: str) -> str:
    """Return why a server gave no answer, "" if that is not known."""
    if said := _SAID.findall(text):
        return str(said[-1]).lower()
    if refused := _NOT_TRUSTED.search(text):
        return f"its certificate is not trusted ({refused[1]})"
    return "none came in time" if _NO_ANSWER_IN_TIME.search(text) else ""


def _status(text: str) -> str:
    return found[1] if (found := _STATUS.search(text)) else ""
