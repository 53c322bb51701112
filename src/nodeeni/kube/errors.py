"""What can go wrong between us and the API server, as types that carry class and delay.

The client raises these and nothing else, so that callers branch on the type and wait `delay`:

    KubeError
    ├── NotFound
    ├── Conflict            somebody wrote first: read again
    │   └── AlreadyExists
    ├── Gone                the resourceVersion or the continue token is too old: list again
    ├── Forbidden           says which verb on which resource to grant
    ├── Unauthorized
    ├── Throttled           the server named a delay
    ├── Invalid             the server will never take this request
    └── Unavailable         refused, reset, timed out, 5xx: a write may or may not have happened
        ├── Untrusted       a certificate is not believed: the server's, or ours
        ├── Away            not sent: the server is away, and others ask whether it is back
        └── Fenced          not sent: the lease is not ours
    ConfigError             no usable kubeconfig; one line that says what to change
    LeaseLost               leadership is over
"""

import msgspec

# Seconds. Nobody is to be deaf for an hour because a proxy said so; the API server's own delays are short.
LONGEST_DELAY = 60.0


class ConfigError(Exception):
    """The cluster cannot be found or the credentials cannot be read; the message says what to change."""


class LeaseLost(Exception):
    """The lease could not be renewed in time, or somebody else holds it."""


class KubeError(Exception):
    """A request failed. `status` is the HTTP status, None when there was no answer; `delay` is the least
    number of seconds after which another try makes sense.
    """

    delay: float = 0.0

    def __init__(self, message: str, *, status: int | None = None, delay: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        if delay is not None:
            self.delay = delay


class NotFound(KubeError):
    pass


class Conflict(KubeError):
    pass


class AlreadyExists(Conflict):
    pass


class Gone(KubeError):
    pass


class Forbidden(KubeError):
    """`verb` on `resource` (`plural.group/subresource`) is what a role has to grant."""

    delay = 30.0

    def __init__(self, message: str, *, verb: str, resource: str, status: int | None = None) -> None:
        super().__init__(f'grant the verb "{verb}" on "{resource}": {message}', status=status)
        self.verb = verb
        self.resource = resource


class Unauthorized(KubeError):
    delay = 5.0


class Throttled(KubeError):
    delay = 1.0


class Invalid(KubeError):
    delay = 60.0


class Unavailable(KubeError):
    delay = 0.1


class Untrusted(Unavailable):
    delay = 1.0


class Away(Unavailable):
    pass


class Fenced(Unavailable):
    delay = 2.0  # the lease is regained, or the process ends


class StatusDetails(msgspec.Struct, rename="camel"):
    retry_after_seconds: int = 0


class Status(msgspec.Struct):
    """metav1.Status: the body of an error answer, and the object of a watch's ERROR event."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


_BY_STATUS: dict[int, type[KubeError]] = {
    401: Unauthorized,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Gone,
    429: Throttled,
}


def from_status(
    code: int, status: Status, *, verb: str, resource: str, retry_after: float | None = None
) -> KubeError:
    """The error for an answer of HTTP status `code`.

    `retry_after` is the Retry-After header in seconds; the Status' own `retryAfterSeconds` is the second
    choice.
    """
    message = f"{verb} {resource}: {status.message or f'HTTP status {code}'}"
    if code == 403:
        return Forbidden(message, verb=verb, resource=resource, status=code)
    if retry_after is None and status.details is not None and status.details.retry_after_seconds:
        retry_after = status.details.retry_after_seconds
    if retry_after is not None:
        retry_after = min(retry_after, LONGEST_DELAY) if retry_after >= 0 else None  # nor is NaN a time
    if code == 409 and status.reason == "AlreadyExists":
        return AlreadyExists(message, status=code)
    kind = _BY_STATUS.get(code, Unavailable if code >= 500 else Invalid)
    return kind(message, status=code, delay=retry_after)


def decode_status(body: bytes) -> Status:
    """The Status in an error answer; of another body (a proxy's page), the first 200 characters."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        return Status(message=body[:200].decode("utf-8", "replace").strip())
