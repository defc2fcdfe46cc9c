"""Where requests go and with which key: environments, and what is refused without showing a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import AuthError, InputError
from runtime.model import wire
from runtime.model.endpoint import custom_headers, endpoint, proxy_parts
from runtime.model.secret import Secret

KEY = "k-e-y"
GEMINI = {"GEMINI_API_KEY": KEY}


def test_a_key_alone_leads_to_the_public_api() -> None:
    found = endpoint(GEMINI)
    assert found.base + found.target("m", wire.STREAM) == (
        "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse"
    )
    assert (found.key.reveal(), found.bearer, found.vertex, found.proxy) == (KEY, False, False, None)


def test_a_base_url_keeps_its_path_and_may_be_http_on_this_machine() -> None:
    found = endpoint({**GEMINI, "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:8080/s/loop/turns-1/"}, "gemini-api-key")
    assert found.split.netloc == "127.0.0.1:8080"
    assert found.target("m", wire.GENERATE) == "/s/loop/turns-1/v1beta/models/m:generateContent"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7:1", "localhost:80", "LOCALHOST", "[::1]:99"])
def test_this_machine_has_many_names(host: str) -> None:
    assert endpoint({**GEMINI, "GOOGLE_GEMINI_BASE_URL": f"http://{host}"}).base == f"http://{host}"


@pytest.mark.parametrize("host", ["10.0.0.1", "example.org", "127.0.0.1.example.org", "localhost.example.org", "[::2]"])
def test_a_key_does_not_travel_in_the_open(host: str) -> None:
    with pytest.raises(AuthError, match="GOOGLE_GEMINI_BASE_URL: http would send the key in the open") as caught:
        endpoint({**GEMINI, "GOOGLE_GEMINI_BASE_URL": f"http://{host}/"})
    assert KEY not in str(caught.value)
    assert caught.value.exit_code == 41


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://h", "https://", "https://h:99999", "https://h:x", "https://h:0", "https://u:p@h", "https://h/?a=b",
     "https://h/#a", "https://h/a b", "https://h/\na", "https://[::1", "https://hé/"],
)  # fmt: skip
def test_a_base_url_that_makes_no_sense_is_named(url: str) -> None:
    with pytest.raises(InputError, match="GOOGLE_GEMINI_BASE_URL"):
        endpoint({**GEMINI, "GOOGLE_GEMINI_BASE_URL": url})


def test_without_a_key_there_is_no_endpoint() -> None:
    for environ in ({}, {"GEMINI_API_KEY": "  "}, {"GOOGLE_API_KEY": KEY}):
        with pytest.raises(AuthError, match="set the environment variable GEMINI_API_KEY"):
            endpoint(environ)


@pytest.mark.parametrize("key", ["a\nb", "a\rb", "schlüssel\u2026", "a\x00"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InputError, match="the API key holds characters") as caught:
        endpoint({"GEMINI_API_KEY": key})
    assert key not in str(caught.value)


@pytest.mark.parametrize("kind", ["oauth-personal", "cloud-shell", "compute-default-credentials", "gateway", "x"])
def test_other_ways_to_log_in_are_refused_by_name(kind: str) -> None:
    with pytest.raises(AuthError, match=kind):
        endpoint(GEMINI, kind)


def test_a_google_login_asked_for_by_the_environment_is_refused() -> None:
    with pytest.raises(AuthError, match="oauth-personal"):
        endpoint({**GEMINI, "GOOGLE_GENAI_USE_GCA": "true"})


def test_a_gateway_of_ones_own_needs_no_key() -> None:
    found = endpoint({"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1"}, "gateway")
    assert not found.key


def test_a_key_may_be_sent_as_a_bearer() -> None:
    assert endpoint({**GEMINI, "GEMINI_API_KEY_AUTH_MECHANISM": "bearer"}).bearer
    assert not endpoint({**GEMINI, "GEMINI_API_KEY_AUTH_MECHANISM": "other"}).bearer


VERTEX = {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": "other"}


def test_vertex_express_takes_its_own_key_path_and_version() -> None:
    found = endpoint(VERTEX)
    assert found.base == "https://aiplatform.googleapis.com"
    assert found.target("m", wire.GENERATE) == "/v1beta1/publishers/google/models/m:generateContent"
    assert found.key.reveal() == KEY


def test_vertex_has_hosts_by_location_and_a_base_of_its_own() -> None:
    assert endpoint({**VERTEX, "GOOGLE_CLOUD_LOCATION": "eu"}).base == "https://aiplatform.eu.rep.googleapis.com"
    assert endpoint({**VERTEX, "GOOGLE_VERTEX_BASE_URL": "http://localhost:1/v"}).base == "http://localhost:1/v"
    assert (
        endpoint({**VERTEX, "GOOGLE_GEMINI_BASE_URL": "http://localhost:1"}).base == "https://aiplatform.googleapis.com"
    )


def test_vertex_by_project_needs_a_login_that_is_not_supported() -> None:
    with pytest.raises(AuthError, match="GOOGLE_API_KEY"):
        endpoint({"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us"}, "vertex-ai")


def test_a_version_may_be_given_and_cannot_change_the_path() -> None:
    assert endpoint({**GEMINI, "GOOGLE_GENAI_API_VERSION": "v1"}).version == "v1"
    with pytest.raises(InputError, match="GOOGLE_GENAI_API_VERSION"):
        endpoint({**GEMINI, "GOOGLE_GENAI_API_VERSION": "v1/../x"})


# Headers ------------------------------------------------------------------------------------------------------------


def test_custom_headers_are_divided_where_a_name_follows_a_comma() -> None:
    assert custom_headers("X-A: 1, X-B: a,b, X-C:c:d,, nonsense") == (
        ("X-A", "1"),
        ("X-B", "a,b"),
        ("X-C", "c:d,, nonsense"),
    )
    assert custom_headers("") == ()
    assert custom_headers("nonsense, : x") == ()


@pytest.mark.parametrize("text", ["X A: 1", "X-A: a\r\nX-B: secret", "X-A: \x00", "Ü: 1", "X-A: \u2026"])
def test_a_header_that_no_request_can_carry_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="GEMINI_CLI_CUSTOM_HEADERS") as caught:
        custom_headers(text)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_gives_headers_or_an_input_error(text: str) -> None:
    try:
        found = custom_headers(text)
    except InputError:
        return
    assert all(name and "\n" not in name + value and "\r" not in name + value for name, value in found)


# Proxy and certificates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_is_taken_from_the_environment(name: str) -> None:
    assert endpoint({**GEMINI, name: "http://proxy:3128"}).proxy == Secret("http://proxy:3128")


@pytest.mark.parametrize(
    ("listed", "used"),
    [
        ("*", False),
        ("googleapis.com", False),
        (".googleapis.com", False),
        ("*.googleapis.com", False),
        ("a, GOOGLEAPIS.com ", False),
        ("oogleapis.com", True),
        ("", True),
        (",", True),
        ("example.org", True),
    ],
)
def test_hosts_may_be_excepted_from_the_proxy(listed: str, used: bool) -> None:
    found = endpoint({**GEMINI, "HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": listed})
    assert (found.proxy is not None) is used


def test_this_machine_is_reached_without_the_proxy() -> None:
    assert (
        endpoint({**GEMINI, "HTTPS_PROXY": "http://p:1", "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1"}).proxy is None
    )


def test_a_proxy_that_is_no_url_is_named_without_its_password() -> None:
    with pytest.raises(InputError, match="HTTPS_PROXY") as caught:
        endpoint({**GEMINI, "HTTPS_PROXY": "socks5://u:secret@h:1"})
    assert "secret" not in str(caught.value)


def test_a_proxys_user_and_password_are_taken_out_of_its_url() -> None:
    parts, login = proxy_parts(Secret("http://u%40x:p%3A@h:3128"))
    assert (parts.geturl(), parts.hostname, parts.port, login) == ("http://h:3128", "h", 3128, ("u@x", "p:"))
    parts, login = proxy_parts(Secret("https://[::1]:1"))
    assert (parts.geturl(), parts.hostname, login) == ("https://[::1]:1", "::1", None)


def test_files_of_certificates_are_taken_from_the_environment() -> None:
    assert endpoint({**GEMINI, "NODE_EXTRA_CA_CERTS": "/ca.pem"}).authorities == ("/ca.pem",)
