"""What this machine has to give."""

from __future__ import annotations

import pytest

from pyjob_magic.local.kubelet.machine import gpus


@pytest.mark.parametrize(
    ("allowed", "handed_out"),
    [
        ("", []),
        ("0", ["0"]),
        ("4, 7", ["4", "7"]),
        ("1,0,1", ["1", "0"]),
        ("0,-1,2", ["0"]),
        ("-1", []),
        ("GPU-8932f937,MIG-1", ["GPU-8932f937", "MIG-1"]),
    ],
)
def test_gpus_are_those_that_the_api_may_use(
    allowed: str, handed_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; none behind one that cannot be, as CUDA reads it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert gpus() == handed_out
