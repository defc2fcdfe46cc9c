"""What is asked for, and what is nobody's business outside."""

from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.intel.addresses import LONGEST, NoQuestion, Question, about_file, about_url, canonical
from defender.intel.hosts import LOCAL, host_of

SAME = {
    "http://example.com/": [
        "http://example.com",
        "HTTP://EXAMPLE.com",
        "http://example.com:80/",
        "http://user:secret@example.com/#part",
        " http://example.com/\n",
        "ht\ttp://exam\nple.com/",
        "http:\\\\example.com\\",
        "http:example.com",
        "http://example.com./",
        "http://ex%61mple.com/",
        "http://ｅｘａｍｐｌｅ.com/",
        "http://example。com/",
        "http://example.com/a/../",
        "http://example.com/%2e%2E/./",
    ],
    "https://example.com:8443/a%20b?q=%C3%A4": ["https://example.com:8443/a b?q=ä#x"],
    "http://xn--fa-hia.de/": ["http://faß.de", "http://FAß.de/"],
    "http://8.8.8.8/x": ["http://134744072/x", "http://0x8.0x8.0x8.0x8/x", "http://010.8.2056/x"],
    "http://[2606:4700::1111]/": ["http://[2606:4700:0:0::1111]:80"],
    "http://a.example.org/?q": ["http://evil.example@a.example.org/?q", "http://b%40c:d@a.example.org?q"],
}


@pytest.mark.parametrize(("form", "spelled"), [(form, one) for form, many in SAME.items() for one in [form, *many]])
def test_spellings_of_one_address_are_one_question(form: str, spelled: str) -> None:
    made = canonical(spelled)
    assert not isinstance(made, NoQuestion), made
    assert made[0] == form


PRIVATE = [
    "http://127.0.0.1/", "http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/",
    "http://①②⑦.0.0.1/", "http://127%2e0.0.1/", "http://10.0.0.1/", "http://172.16.3.4/", "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/", "http://0/", "http://0.0.0.0:8080/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/", "http://192.0.2.7/",
    "http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[ff02::1]/",
    "http://[::ffff:10.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::a00:1]/", "http://[2002:a00:1::]/",
    "http://[2001:db8::1]/", "http://[::10.0.0.1]/",
    "http://localhost/", "http://localhost:3000/", "http://a.localhost/", "http://printer.local/",
    "http://db.prod.internal/", "http://metadata.google.internal/", "http://router.lan/", "http://nas.home.arpa/",
    "http://intranet/", "http://wiki.corp/", "http://x.onion/", "http://LOCALHOST./",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_what_is_private_is_nobodys_business(url: str) -> None:
    made = about_url(url)
    assert isinstance(made, NoQuestion)
    assert "private" in made.why or "local" in made.why


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "http://[2606:4700::1111]/", "http://[::ffff:8.8.8.8]/"])
def test_public_addresses_are_looked_up(url: str) -> None:
    assert isinstance(about_url(url), Question)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "javascript:alert(1)", "file:///etc/passwd", "http://", "http:///",
        "http://exa mple.com/", "http://exam\u200bple.com/", "http://a..b/", "http://-a.com/", "http://1.2.3.4.5/",
        "http://256.1.1.1/", "http://0x100000000/", "http://[::1", "http://[fe80::1%25eth0]/", "http://a.com:99999/",
        "http://a.com:x/", "http://%ff.com/", "http://" + "a" * 64 + ".com/", "http://99999999999999999999999/",
        "http://a.com/" + "x" * LONGEST, None, 7, b"http://a.com/",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_looked_up(url: object) -> None:
    assert isinstance(about_url(url), NoQuestion)


def test_a_url_is_named_by_its_base64_without_padding() -> None:
    question = about_url("http://example.com/x")
    assert isinstance(question, Question)
    assert "=" not in question.name
    assert urlsafe_b64decode(question.name + "==") == b"http://example.com/x"
    assert question.path == f"/urls/{question.name}"


@pytest.mark.parametrize("hashed", [True, False])
def test_a_long_or_a_private_url_is_named_by_its_hash(hashed: bool) -> None:
    url = "http://example.com/" + ("" if hashed else "x" * 2000)
    question = about_url(url, hashed=hashed)
    assert isinstance(question, Question)
    assert question.name == sha256(url.encode()).hexdigest()


def test_nothing_of_user_password_or_fragment_is_asked() -> None:
    question = about_url("https://ann:pa55word@example.com/#token=abc")
    assert isinstance(question, Question)
    said = urlsafe_b64decode(question.name + "==").decode() + question.shown
    assert "ann" not in said
    assert "pa55word" not in said
    assert "token" not in said


@pytest.mark.parametrize("digest", ["A" * 64, "0" * 64, " " + "0" * 64 + "\n"])
def test_a_file_is_named_by_its_sha256(digest: str) -> None:
    assert about_file(digest) == Question("file", digest.strip().lower(), digest.strip().lower())


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 32, "g" * 64, "../" + "0" * 61, None, b"0" * 64])
def test_what_is_no_sha256_is_not_looked_up(digest: object) -> None:
    assert isinstance(about_file(digest), NoQuestion)


@given(st.text(max_size=60), st.sampled_from(["http://", "https://", "", "http://a.example.org/", "http://["]))
def test_no_text_raises_and_a_form_is_its_own_form(text: str, start: str) -> None:
    made = canonical(start + text)
    if not isinstance(made, NoQuestion):
        assert canonical(made[0]) == made
        assert made[0].isascii()
        assert made[0].isprintable()


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_asked_for_only_if_it_is_public(address: object) -> None:
    public = address.is_global and not address.is_multicast and not address.is_reserved  # type: ignore[attr-defined]
    for spelled in (str(address), str(int(address)), hex(int(address))):  # type: ignore[call-overload]
        assert (host_of(spelled).refused == "") is public


@pytest.mark.parametrize("end", LOCAL)
def test_names_of_a_local_network_are_refused_with_everything_below(end: str) -> None:
    assert host_of(end).refused
    assert host_of(f"deep.below.{end}").refused
    assert not host_of(f"{end.replace('.', '-')}.com").refused
