"""Shared secrets in each mode, users of a proxy, and the limiter of failed attempts."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runtime.gateway.auth import AuthPolicy, Checked, Limiter, Proxy, RateLimit, check_shared, same, unauthorized
from runtime.gateway.peers import Peer

HERE = Peer()
FAR = Peer(address="1.2.3.4", remote="1.2.3.4", loopback=False)
TOKEN = AuthPolicy(token="T")
PASSWORD = AuthPolicy(mode="password", password="P")
PROXY = AuthPolicy(
    mode="trusted-proxy",
    password="P",
    proxy=Proxy(user_header="X-User", required_headers=("X-Seen",), allow_users=("ann", "bob")),
    trusted_proxies=("10.0.0.0/8", "127.0.0.1"),
    own_addresses=frozenset({"10.0.0.9"}),
)
BEHIND = Peer(
    address="1.2.3.4",
    remote="10.0.0.1",
    loopback=False,
    proxied=True,
    headers={"x-user": " ann ", "x-seen": "1"},
)


def test_without_a_mode_nothing_is_looked_at() -> None:
    assert check_shared(AuthPolicy(mode="none"), FAR, "x", "y") == Checked("none")


@pytest.mark.parametrize(("token", "password"), [("T", None), (" T ", None), (None, "T"), ("", "T"), ("T", "bad")])
def test_the_token_may_come_as_either_and_with_blanks(token: str | None, password: str | None) -> None:
    assert check_shared(TOKEN, HERE, token, password) == Checked("token")


@pytest.mark.parametrize(("token", "password"), [(None, "P"), ("P", None), ("bad", "P")])
def test_the_password_may_come_as_either(token: str | None, password: str | None) -> None:
    assert check_shared(PASSWORD, HERE, token, password) == Checked("password")


@pytest.mark.parametrize(
    ("policy", "token", "reason"),
    [
        (TOKEN, None, "token_missing"),
        (TOKEN, "  ", "token_missing"),
        (TOKEN, "t", "token_mismatch"),
        (TOKEN, "\ud800", "token_mismatch"),
        (AuthPolicy(), "T", "token_missing_config"),
        (AuthPolicy(token=" "), " ", "token_missing_config"),
        (PASSWORD, None, "password_missing"),
        (PASSWORD, "p", "password_mismatch"),
        (AuthPolicy(mode="password"), "P", "password_missing_config"),
        (AuthPolicy(mode="trusted-proxy"), "T", "trusted_proxy_config_missing"),
    ],
)
def test_why_a_secret_does_not_do(policy: AuthPolicy, token: str | None, reason: str) -> None:
    assert check_shared(policy, FAR, token) == Checked(None, reason)


def test_who_is_locked_out_is_not_compared_any_more() -> None:
    assert check_shared(TOKEN, FAR, "T", locked_ms=5) == Checked(None, "rate_limited", 5)
    assert check_shared(TOKEN, FAR, None, locked_ms=5) == Checked(None, "token_missing")


@given(st.text(), st.text())
def test_secrets_are_the_same_only_if_they_are(left: str, right: str) -> None:
    assert same(left, right) == (left == right)
    assert same(left, left)


def test_a_policy_does_not_show_its_secrets() -> None:
    assert "hunter2" not in repr(AuthPolicy(token="hunter2", password="hunter2"))


def test_a_proxy_vouches_for_its_user() -> None:
    assert check_shared(PROXY, BEHIND) == Checked("trusted-proxy", user="ann")


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (FAR, "trusted_proxy_untrusted_source"),
        (evolve(BEHIND, remote="127.0.0.1"), "trusted_proxy_loopback_source"),
        (evolve(BEHIND, remote="10.0.0.9"), "trusted_proxy_local_interface_source"),
        (evolve(BEHIND, headers={"x-user": "ann"}), "trusted_proxy_missing_header_X-Seen"),
        (evolve(BEHIND, headers={"x-seen": "1", "x-user": " "}), "trusted_proxy_user_missing"),
        (evolve(BEHIND, headers={"x-seen": "1", "x-user": "eve"}), "trusted_proxy_user_not_allowed"),
        (evolve(BEHIND, proxied=False), "proxy_attribution_required"),
    ],
)
def test_why_a_proxy_does_not_do(peer: Peer, reason: str) -> None:
    assert check_shared(PROXY, peer) == Checked(None, reason)


def test_a_proxy_on_this_machine_does_where_the_settings_allow_it() -> None:
    proxy = Proxy(user_header="x-user", allow_loopback=True)
    assert check_shared(evolve(PROXY, proxy=proxy), evolve(BEHIND, remote="127.0.0.1")).user == "ann"


def test_no_proxies_at_all_let_nobody_in() -> None:
    assert check_shared(evolve(PROXY, trusted_proxies=()), BEHIND).reason == "trusted_proxy_no_proxies_configured"


def test_on_this_machine_a_password_does_instead_of_the_proxy() -> None:
    here = evolve(HERE, remote="127.0.0.1")
    assert check_shared(PROXY, here, None, "P") == Checked("password")
    assert check_shared(PROXY, here, "P", None).method is None
    assert check_shared(PROXY, FAR, None, "P").method is None


@pytest.mark.parametrize(
    ("reason", "code", "step"),
    [
        ("token_missing", "AUTH_TOKEN_MISSING", "update_auth_configuration"),
        ("token_mismatch", "AUTH_TOKEN_MISMATCH", "update_auth_credentials"),
        ("token_missing_config", "AUTH_TOKEN_NOT_CONFIGURED", "update_auth_configuration"),
        ("password_missing", "AUTH_PASSWORD_MISSING", "update_auth_configuration"),
        ("password_mismatch", "AUTH_PASSWORD_MISMATCH", "update_auth_credentials"),
        ("password_missing_config", "AUTH_PASSWORD_NOT_CONFIGURED", "update_auth_configuration"),
        ("bootstrap_token_invalid", "AUTH_BOOTSTRAP_TOKEN_INVALID", "review_auth_configuration"),
        ("device_token_mismatch", "AUTH_DEVICE_TOKEN_MISMATCH", "update_auth_credentials"),
        ("scope_mismatch", "AUTH_SCOPE_MISMATCH", "review_auth_configuration"),
        ("rate_limited", "AUTH_RATE_LIMITED", "wait_then_retry"),
        ("trusted_proxy_missing_header_X", "AUTH_IDENTITY_HEADER_REQUIRED", "review_auth_configuration"),
        ("trusted_proxy_user_missing", "AUTH_UNAUTHORIZED", "review_auth_configuration"),
    ],
)
def test_a_refusal_says_what_to_do_next(reason: str, code: str, step: str) -> None:
    error = unauthorized(Checked(None, reason, 7))
    assert error.code == "INVALID_REQUEST"
    assert error.message.startswith("unauthorized: ")
    assert error.details == {
        "code": code,
        "authReason": reason,
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": step,
    }
    assert (error.retryable, error.retry_after_ms) == ((True, 7) if reason == "rate_limited" else (None, None))


def failures(limiter: Limiter, peer: Peer, count: int, now: int = 0) -> list[int]:
    return [limiter.failed("shared", peer, now) for _ in range(count)]


def test_ten_failures_in_a_minute_lock_an_address_out_for_five() -> None:
    limiter = Limiter()
    failures(limiter, FAR, 9)
    assert limiter.locked("shared", FAR, 0) == 0
    failures(limiter, FAR, 1, now=59_999)
    assert limiter.locked("shared", FAR, 60_000) == 299_999
    assert limiter.locked("shared", FAR, 359_999) == 0


def test_failures_that_are_older_than_the_window_do_not_count() -> None:
    limiter = Limiter()
    failures(limiter, FAR, 9)
    failures(limiter, FAR, 1, now=60_000)
    assert limiter.locked("shared", FAR, 60_000) == 0


def test_trying_on_while_locked_out_does_not_make_it_longer() -> None:
    limiter = Limiter()
    failures(limiter, FAR, 10)
    failures(limiter, FAR, 5, now=100_000)
    assert limiter.locked("shared", FAR, 100_000) == 200_000


def test_each_credential_and_each_address_is_counted_for_itself() -> None:
    limiter = Limiter()
    failures(limiter, FAR, 10)
    assert limiter.locked("device", FAR, 0) == 0
    assert limiter.locked("shared", evolve(FAR, address="1.2.3.5"), 0) == 0


def test_a_good_credential_forgets_the_bad_ones() -> None:
    limiter = Limiter()
    failures(limiter, FAR, 9)
    limiter.passed("shared", FAR)
    failures(limiter, FAR, 9)
    assert limiter.locked("shared", FAR, 0) == 0


def test_this_machine_is_never_locked_out_but_waits_longer_each_time() -> None:
    limiter = Limiter()
    assert failures(limiter, HERE, 7) == [250, 500, 1000, 2000, 4000, 5000, 5000]
    failures(limiter, HERE, 100)
    assert limiter.locked("shared", HERE, 0) == 0


def test_a_page_on_this_machine_is_locked_out() -> None:
    limiter = Limiter()
    page = evolve(HERE, origin="http://localhost:1")
    assert failures(limiter, page, 10) == [0] * 10
    assert limiter.locked("shared", page, 0) == 300_000
    assert limiter.locked("shared", HERE, 0) == 0


def test_this_machine_is_locked_out_where_the_settings_say_so() -> None:
    limiter = Limiter(RateLimit(exempt_loopback=False, attempts=2, lockout_ms=10))
    failures(limiter, HERE, 2)
    assert limiter.locked("shared", HERE, 0) == 10


def address(number: int) -> Peer:
    return evolve(FAR, address=f"1.2.3.{number}")


def test_there_is_room_for_so_many_addresses_and_the_oldest_goes_first() -> None:
    limiter = Limiter(most=3)
    for number in range(5):
        limiter.failed("shared", address(number), number)
    assert len(limiter) == 3
    assert limiter.locked("shared", address(9), 5) == 0


def test_when_all_who_are_known_are_locked_out_strangers_wait_as_well() -> None:
    limiter = Limiter(RateLimit(attempts=1, lockout_ms=1_000), most=2)
    for number in range(3):
        limiter.failed("shared", address(number), 0)
    assert len(limiter) == 2
    assert limiter.locked("shared", address(7), 400) == 600
    assert limiter.locked("shared", address(7), 1_000) == 0
    assert limiter.failed("shared", address(7), 100_000) == 0
    assert limiter.locked("shared", address(7), 100_000) == 1_000


class LimiterMachine(RuleBasedStateMachine):
    """The limiter against a plain list of failures: locked exactly when the tenth in a window was less than 5 m ago."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter = Limiter(RateLimit(attempts=3, window_ms=100, lockout_ms=200))
        self.now = 0
        self.at: list[int] = []
        self.until = 0

    @rule(step=st.integers(0, 150))
    def wait(self, step: int) -> None:
        self.now += step

    @rule()
    def fail(self) -> None:
        self.limiter.failed("shared", FAR, self.now)
        if self.now < self.until:
            return
        if self.until:
            self.at, self.until = [], 0
        self.at = [each for each in self.at if each > self.now - 100] + [self.now]
        if len(self.at) >= 3:
            self.until = self.now + 200

    @rule()
    def succeed(self) -> None:
        if self.now >= self.until:
            self.limiter.passed("shared", FAR)
            self.at, self.until = [], 0

    @invariant()
    def says_how_long_to_wait(self) -> None:
        assert self.limiter.locked("shared", FAR, self.now) == max(0, self.until - self.now)


TestLimiterMachine = LimiterMachine.TestCase
