"""Credentials are found where people put them, and what is missing is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pyjob_magic.errors import OptionError
from pyjob_magic.targets import Access
from pyjob_magic.targets.access import CREDENTIALS
from pyjob_magic.targets.cci import credentials
from pyjob_magic.targets.cci.credentials import Keys, Password, Source, Token

PRINT = "import sys; print(open(sys.argv[1]).read()); open(sys.argv[2], 'a').write('x')"


def current(access: Access | None = None) -> Keys | Password | Token:
    return Source(access or Access(), "cn-north-4").current()


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_keys_are_preferred(keys: None, password: None) -> None:
    """A signature needs no request before it."""
    assert isinstance(current(), Keys)


def test_temporary_keys_have_a_token(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the SDK of Huawei Cloud names it."""
    monkeypatch.setenv("HUAWEICLOUD_SDK_SECURITY_TOKEN", "temporary")

    found = current()

    assert isinstance(found, Keys)
    assert found.security_token == "temporary"


def test_a_token_may_be_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OS_TOKEN``, as OpenStack names it."""
    monkeypatch.setenv("OS_TOKEN", "t")

    assert current() == Token(current().value)  # type: ignore[union-attr]


def test_the_project_is_that_of_the_region(password: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless one is said; the account may be named in either way."""
    assert isinstance(found := current(), Password)
    assert found.project == "cn-north-4"

    monkeypatch.delenv("OS_USER_DOMAIN_NAME")
    set_all(monkeypatch, OS_PROJECT_NAME="other", OS_DOMAIN_NAME="umbrella")
    assert isinstance(found := current(), Password)
    assert (found.domain, found.project) == ("umbrella", "other")


def test_none_is_one_line_that_says_what_to_set() -> None:
    """The variables are named."""
    with pytest.raises(OptionError) as none:
        current()

    assert str(none.value) == (
        "--on: cci: no credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, "
        "or OS_USERNAME and OS_PASSWORD and OS_USER_DOMAIN_NAME"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (["HUAWEICLOUD_SDK_AK"], "HUAWEICLOUD_SDK_AK is set, but HUAWEICLOUD_SDK_SK is not"),
        (["HUAWEICLOUD_SDK_SK"], "HUAWEICLOUD_SDK_SK is set, but HUAWEICLOUD_SDK_AK is not"),
        (
            ["OS_USERNAME", "OS_DOMAIN_NAME"],
            "OS_USERNAME and OS_USER_DOMAIN_NAME is set, but OS_PASSWORD is not",
        ),
    ],
)
def test_half_of_them_says_which_half_is_missing(
    monkeypatch: pytest.MonkeyPatch, variables: list[str], message: str
) -> None:
    """An empty variable counts as none."""
    set_all(monkeypatch, HUAWEICLOUD_SDK_SECURITY_TOKEN="", **dict.fromkeys(variables, "secret"))

    with pytest.raises(OptionError) as half:
        current()

    assert str(half.value) == f"--on: cci: {message}"


def test_a_profile_names_other_variables(
    keys: None, password: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then only those count."""
    access = Access(credentials={"access_key": "TEAM_AK", "secret_key": "TEAM_SK"})
    with pytest.raises(OptionError, match="no credentials: set TEAM_AK and TEAM_SK"):
        current(access)

    set_all(monkeypatch, TEAM_AK="a", TEAM_SK="b")
    assert isinstance(found := current(access), Keys)
    assert (found.access_key, found.secret_key) == ("a", "b")


def test_profiles_may_name_every_credential() -> None:
    """One list for the files of settings, one with the variables: they agree."""
    assert tuple(credentials.VARIABLES) == CREDENTIALS


def test_a_profile_with_a_wrong_key_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(OptionError, match="'acess_key' is none of access_key, secret_key"):
        current(Access(credentials={"acess_key": "X"}))


@pytest.mark.parametrize("name", ["OS_TOKEN", "HUAWEICLOUD_SDK_SECURITY_TOKEN"])
def test_what_no_header_can_hold_is_refused_and_not_shown(
    keys: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Such as the end of a line that came along from a file."""
    if name == "OS_TOKEN":
        monkeypatch.delenv("HUAWEICLOUD_SDK_AK")
        monkeypatch.delenv("HUAWEICLOUD_SDK_SK")
    monkeypatch.setenv(name, "SECRET\n")

    with pytest.raises(OptionError, match=f"{name} holds characters") as refused:
        current()

    assert "SECRET" not in str(refused.value)


def test_changed_variables_are_seen(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that were rotated count from the next request on."""
    source = Source(Access(), "cn-north-4")
    before = source.current()
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", "another")

    assert source.current() != before


def test_a_command_prints_them_until_they_expire(tmp_path: Path) -> None:
    """It is run again shortly before the end that it says, and when they were refused."""
    printed, runs = tmp_path / "printed.json", tmp_path / "runs"
    said = {"access_key": "a", "secret_key": "b", "expires_at": "1970-01-01T01:00:00Z"}
    printed.write_text(json.dumps(said))
    now = [0.0]
    access = Access(command=(sys.executable, "-c", PRINT, str(printed), str(runs)))
    source = Source(access, "cn-north-4", now=lambda: now[0])

    assert [source.current() for _ in range(3)] == [source.current()] * 3
    assert len(runs.read_text()) == 1
    now[0] = 3590.0
    source.current()
    assert len(runs.read_text()) == 2
    now[0] = 0.0
    source.forget()
    source.current()
    assert len(runs.read_text()) == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("/no/such/program",), "'/no/such/program': No such file or directory"),
        (("sh", "-c", "echo secret; exit 3"), "'sh' ended with code 3; run it in a terminal"),
        (("sh", "-c", "echo secret"), "'sh' must print a JSON object of access_key, secret_key"),
        (("sh", "-c", "echo '[1]'"), "'sh' must print a JSON object of access_key, secret_key"),
        (("sh", "-c", 'echo \'{"access_key": "secret"}\''), "access_key is set, but secret_key"),
        (("sh", "-c", "echo '{}'"), "no credentials: set access_key and secret_key, or user"),
    ],
)
def test_a_command_that_fails_is_explained(command: tuple[str, ...], message: str) -> None:
    """Without what it has printed."""
    with pytest.raises(OptionError) as failed:
        current(Access(command=command))

    assert message in str(failed.value)
    assert "secret\n" not in str(failed.value)
