"""Shared secrets, users that a proxy vouches for, and who has tried too often (CONTRACT sections 3 and 11).

Rules: secrets are compared in constant time; a mode that is not set up lets nobody in; failed attempts are counted for
each address, and there is room for so many addresses only. Reads no settings and no clock: policy, peer and time are
arguments. HTTP uses it as well as the WebSocket.
"""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

from attrs import Factory, define, field, frozen

from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.peers import Peer, is_loopback, subject, trimmed, trusted

Mode = Literal["none", "token", "password", "trusted-proxy"]
Method = Literal["none", "token", "password", "trusted-proxy", "device-token"]
Credential = Literal["shared", "device"]
"""What an attempt tried. Each is counted for itself."""

LOOPBACK_DELAY_MS: Final = 250
LOOPBACK_DELAY_MOST_MS: Final = 5_000


@frozen(kw_only=True)
class RateLimit:
    """`gateway.auth.rateLimit`, with the defaults of the real gateway."""

    attempts: int = 10
    window_ms: int = 60_000
    lockout_ms: int = 300_000
    exempt_loopback: bool = True


@frozen(kw_only=True)
class Proxy:
    """`gateway.auth.trustedProxy`: which header names the user, and what else has to be there."""

    user_header: str
    required_headers: tuple[str, ...] = ()
    allow_users: tuple[str, ...] = ()
    allow_loopback: bool = False


@frozen(kw_only=True)
class AuthPolicy:
    """What the settings say about who may come in. `own_addresses` are those of this machine's interfaces."""

    mode: Mode = "token"
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    proxy: Proxy | None = None
    trusted_proxies: tuple[str, ...] = ()
    real_ip_fallback: bool = False
    own_addresses: frozenset[str] = frozenset()
    allowed_origins: tuple[str, ...] = ()
    host_origin_fallback: bool = False
    auto_approve_local: bool = True
    debug: tuple[str, ...] = ()
    """The scopes of the debugger that a connection may have at all."""
    build_id: str = ""


@frozen
class Checked:
    """The outcome for a shared secret: `method` if it holds, else why not, and how long to wait if that is why."""

    method: Method | None
    reason: str = ""
    retry_after_ms: int = 0
    user: str = ""


def check_shared(
    policy: AuthPolicy, peer: Peer, token: str | None = None, password: str | None = None, locked_ms: int = 0
) -> Checked:
    """Look at a shared secret. It may come as either of the two, and what the mode is named after goes first."""
    token, password = trimmed(token), trimmed(password)
    if policy.mode == "none":
        return Checked("none")
    if policy.mode == "trusted-proxy":
        checked = _check_proxy(policy, peer)
        if checked.method is None and peer.loopback and policy.password and password:
            return _check_secret("password", policy.password, password, locked_ms)
        return checked
    if policy.mode == "token":
        return _check_secret("token", policy.token, token or password, locked_ms)
    return _check_secret("password", policy.password, password or token, locked_ms)


def same(presented: str, expected: str) -> bool:
    """Compare two secrets in a time that tells nothing of either."""
    return compare_digest(_digest(presented), _digest(expected))


def unauthorized(checked: Checked, *, page: bool = False, retry: bool = False) -> GatewayError:
    """What a client is told whose credentials do not hold. `page` has a place to enter one; `retry` has another one."""
    reason = checked.reason
    message = f"unauthorized: {_WHY.get(reason, 'no credential that was accepted')}"
    if reason in _HINTED:
        kind = reason.partition("_")[0]
        hint = f"enter the {kind} in the UI's settings" if page else f"provide gateway auth {kind}"
        message = f"{message} ({hint})"
    header = reason.startswith("trusted_proxy_missing_header_")
    step = _NEXT_STEPS.get(reason, "review_auth_configuration")
    details = {
        "code": "AUTH_IDENTITY_HEADER_REQUIRED" if header else _CODES.get(reason, "AUTH_UNAUTHORIZED"),
        "authReason": reason,
        "canRetryWithDeviceToken": retry,
        "recommendedNextStep": "retry_with_device_token" if retry else step,
    }
    error = invalid(message, details)
    if reason == "rate_limited":
        error.retryable, error.retry_after_ms = True, checked.retry_after_ms
    return error


@define
class Attempts:
    """Failed attempts of one subject: when they were, and until when it is locked out."""

    at: list[int] = Factory(list)
    locked_until: int = 0


@define
class Limiter:
    """Counts failed attempts and locks out who has too many. Times are milliseconds; holds at most `most` subjects.

    A program on this machine is never locked out, it only waits longer each time; a browser page on it is no program.
    """

    limit: RateLimit = RateLimit()
    most: int = 10_000
    _seen: dict[tuple[Credential, str], Attempts] = field(factory=dict, init=False)
    _all_locked_until: int = field(default=0, init=False)

    def locked(self, credential: Credential, peer: Peer, now: int) -> int:
        """How many milliseconds this peer still has to wait before it may try; 0 if it may now."""
        if self._exempt(peer):
            return 0
        seen = self._seen.get((credential, subject(peer)))
        if seen is None:
            return self._all_locked_until - now if now < self._all_locked_until and self._full(now) else 0
        self._refresh(seen, now)
        return max(0, seen.locked_until - now)

    def failed(self, credential: Credential, peer: Peer, now: int) -> int:
        """Note a failed attempt; return how many milliseconds the answer should wait."""
        exempt = self._exempt(peer)
        key = (credential, subject(peer))
        seen = self._seen.get(key)
        if seen is None:
            if self._full(now) and not self._make_room(now):
                self._all_locked_until = max(self._all_locked_until, now + self.limit.lockout_ms)
                return 0
            seen = self._seen[key] = Attempts()
        self._refresh(seen, now)
        if seen.locked_until:
            return 0
        seen.at.append(now)
        # Never more than are needed to decide: the longest delay is reached after six.
        del seen.at[: -max(self.limit.attempts, 6)]
        if exempt:
            return min(LOOPBACK_DELAY_MS << (len(seen.at) - 1), LOOPBACK_DELAY_MOST_MS)
        if len(seen.at) >= self.limit.attempts:
            seen.locked_until = now + self.limit.lockout_ms
        return 0

    def passed(self, credential: Credential, peer: Peer) -> None:
        """Forget the failures of a peer that has shown a good credential."""
        self._seen.pop((credential, subject(peer)), None)

    def __len__(self) -> int:
        return len(self._seen)

    def _exempt(self, peer: Peer) -> bool:
        return self.limit.exempt_loopback and is_loopback(peer.address) and not trimmed(peer.origin)

    def _refresh(self, seen: Attempts, now: int) -> None:
        if seen.locked_until and now >= seen.locked_until:
            seen.locked_until = 0
            seen.at.clear()
        seen.at[:] = [at for at in seen.at if at > now - self.limit.window_ms]

    def _full(self, now: int) -> bool:
        if len(self._seen) < self.most:
            return False
        for key, seen in list(self._seen.items()):
            self._refresh(seen, now)
            if not seen.at and not seen.locked_until:
                del self._seen[key]
        return len(self._seen) >= self.most

    def _make_room(self, now: int) -> bool:
        free = next((key for key, seen in self._seen.items() if now >= seen.locked_until), None)
        if free is None:
            return False
        del self._seen[free]
        return True


def _check_secret(mode: Literal["token", "password"], expected: str, presented: str, locked_ms: int) -> Checked:
    if locked_ms and presented:
        return Checked(None, "rate_limited", locked_ms)
    if not expected.strip():
        return Checked(None, f"{mode}_missing_config")
    if not presented:
        return Checked(None, f"{mode}_missing")
    return Checked(mode) if same(presented, expected) else Checked(None, f"{mode}_mismatch")


def _check_proxy(policy: AuthPolicy, peer: Peer) -> Checked:
    """The identity that a trusted proxy vouches for, or the first thing that is missing for one."""
    proxy = policy.proxy
    if proxy is None:
        return Checked(None, "trusted_proxy_config_missing")
    if not policy.trusted_proxies:
        return Checked(None, "trusted_proxy_no_proxies_configured")
    if not trusted(peer.remote, policy.trusted_proxies):
        return Checked(None, "trusted_proxy_untrusted_source")
    if is_loopback(peer.remote):
        if not proxy.allow_loopback:
            return Checked(None, "trusted_proxy_loopback_source")
    elif peer.remote in policy.own_addresses:
        return Checked(None, "trusted_proxy_local_interface_source")
    for name in proxy.required_headers:
        if not trimmed(peer.headers.get(name.lower())):
            return Checked(None, f"trusted_proxy_missing_header_{name}")
    user = trimmed(peer.headers.get(proxy.user_header.lower()))
    if not user:
        return Checked(None, "trusted_proxy_user_missing")
    if proxy.allow_users and user not in proxy.allow_users:
        return Checked(None, "trusted_proxy_user_not_allowed")
    return Checked("trusted-proxy", user=user) if peer.proxied else Checked(None, "proxy_attribution_required")


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


_WHY: Final[Mapping[str, str]] = {
    "token_missing": "gateway token missing",
    "token_mismatch": "gateway token mismatch",
    "token_missing_config": "gateway token not configured on gateway (set gateway.auth.token)",
    "password_missing": "gateway password missing",
    "password_mismatch": "gateway password mismatch",
    "password_missing_config": "gateway password not configured on gateway (set gateway.auth.password)",
    "bootstrap_token_invalid": "this setup code is not one that can be used (make a new one)",
    "rate_limited": "too many failed authentication attempts (retry later)",
    "proxy_attribution_required": "the proxy does not say who the client is (see gateway.trustedProxies)",
    "device_token_mismatch": "device token mismatch (rotate or reissue it)",
    "scope_mismatch": "device token scope mismatch (approve the device for more)",
}
_HINTED: Final = frozenset({"token_missing", "token_mismatch", "password_missing", "password_mismatch"})
_CODES: Final[Mapping[str, str]] = {
    "token_missing": "AUTH_TOKEN_MISSING",
    "token_mismatch": "AUTH_TOKEN_MISMATCH",
    "token_missing_config": "AUTH_TOKEN_NOT_CONFIGURED",
    "password_missing": "AUTH_PASSWORD_MISSING",
    "password_mismatch": "AUTH_PASSWORD_MISMATCH",
    "password_missing_config": "AUTH_PASSWORD_NOT_CONFIGURED",
    "bootstrap_token_invalid": "AUTH_BOOTSTRAP_TOKEN_INVALID",
    "rate_limited": "AUTH_RATE_LIMITED",
    "device_token_mismatch": "AUTH_DEVICE_TOKEN_MISMATCH",
    "scope_mismatch": "AUTH_SCOPE_MISMATCH",
}
_NEXT_STEPS: Final[Mapping[str, str]] = {
    "token_missing": "update_auth_configuration",
    "token_missing_config": "update_auth_configuration",
    "password_missing": "update_auth_configuration",
    "password_missing_config": "update_auth_configuration",
    "token_mismatch": "update_auth_credentials",
    "password_mismatch": "update_auth_credentials",
    "device_token_mismatch": "update_auth_credentials",
    "rate_limited": "wait_then_retry",
}
