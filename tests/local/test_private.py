"""Files of one user: nobody else reads them, and nobody else has put them there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher, private
from pyjob_magic.local.home import Home
from pyjob_magic.local.private import NotOursError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_state_directory_that_is_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    Home(tmp_path / "state").create()
    assert mode(tmp_path / "state") == 0o700


@root_only
def test_a_state_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    os.chown(path, 12345, 12345)
    with pytest.raises(
        TargetError, match=r"state belongs to user 12345, not to 0; let PYJOB_MAGIC"
    ):
        launcher.ensure_running(Home(path))
    assert not list(path.iterdir())


@root_only
def test_a_link_that_somebody_else_has_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "state").symlink_to("mine")
    os.chown(tmp_path / "state", 12345, 12345, follow_symlinks=False)
    with pytest.raises(NotOursError):
        Home(tmp_path / "state").create()
    assert mode(tmp_path / "mine") == 0o755


def test_a_state_directory_may_be_a_link_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "state").symlink_to("mine")
    Home(tmp_path / "state").create()
    assert mode(tmp_path / "mine") == 0o700


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(TargetError, match="Not a directory; let PYJOB_MAGIC_HOME name another"):
        launcher.ensure_running(Home(tmp_path / "state"))


def test_a_token_that_others_can_read_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    token = home.ensure_token()
    home.token_file.chmod(0o644)
    assert home.token() == token
    assert mode(home.token_file) == 0o600


def test_a_token_that_is_a_link_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    (tmp_path / "elsewhere").write_text("x" * 43)
    home.token_file.symlink_to("elsewhere")
    with pytest.raises(NotOursError, match="token is a link to elsewhere: remove it"):
        home.ensure_token()


@root_only
def test_a_token_of_somebody_else_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    home.ensure_token()
    os.chown(home.token_file, 12345, -1)
    with pytest.raises(NotOursError, match="belongs to user 12345"):
        home.token()


@pytest.mark.parametrize("text", ["", "\n", "guess", "x" * 43 + "\n"])
def test_what_is_no_token_is_replaced(tmp_path: Path, text: str) -> None:
    """An empty one would let everybody in."""
    home = Home(tmp_path).create()
    home.token_file.write_text(text)
    token = home.ensure_token()
    assert len(token) >= 43
    assert home.token() == token != text


def test_what_is_announced_lives_as_long_as_its_process(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    handle = home.announce({"url": "here"})
    assert home.endpoint() == {"url": "here"}
    os.close(handle)
    assert home.api_file.exists()
    assert home.endpoint() is None


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    private.write(tmp_path / "file", "before")
    with pytest.raises(UnicodeEncodeError):
        private.write(tmp_path / "file", "\ud800")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
