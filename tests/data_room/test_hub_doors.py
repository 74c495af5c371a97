"""What the environment says of the hub: addresses and tokens that cannot be any."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.data.hub import endpoint, shown_endpoint, without_password
from auricle.data.places import url_name
from auricle.errors import DataError

WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    "address", ["http://[::1", "notaurl", "ftp://x", "http://", "http://x:99999", "https://a\x1bb"]
)
def test_an_address_that_is_none_is_one_sentence(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(DataError, match=r"HF_ENDPOINT is '.*', which is no address; expected one"):
        endpoint()


@pytest.mark.parametrize("token", ["\u201chf_x\u201d", "hf x", "hf_\u00e9", "hf_\nx"])
def test_a_token_with_signs_that_no_token_has_is_one_sentence(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DataError, match=r"HF_TOKEN holds '.*', which no token has") as caught:
        endpoint()
    assert "hf_" not in str(caught.value).replace("expected hf_", "")  # the token is not printed


def test_white_space_around_address_and_token_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", " http://mirror:8080/ \n")
    monkeypatch.setenv("HF_TOKEN", " hf_abc\n")
    assert endpoint() == "http://mirror:8080"


def test_a_password_in_an_address_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://user:secret@mirror.example/hub/")
    assert endpoint() == "https://user:secret@mirror.example/hub"
    assert shown_endpoint() == "https://mirror.example/hub"
    assert without_password("https://u:p@h/x@y") == "https://h/x@y"
    assert without_password("https://h/x@y") == "https://h/x@y"
    assert url_name("https://user:secret@h:1/a/b.tar?x=1") == "h:1/a/b.tar"
    with pytest.raises(DataError, match=r"\[::1 is no address .*Correct the shard"):
        url_name("http://[::1")


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_any_environment_gives_an_address_or_one_sentence(address: str, token: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", address)
        patch.setenv("HF_TOKEN", token)
        try:
            found = endpoint()
        except DataError:
            return
        assert found.startswith(("http://", "https://"))
