"""What replicas inherit of the environment in which the embedded API was started."""

from __future__ import annotations

from collections.abc import Mapping

REPLICA = "PYJOB_POD_UID"  # is set in what a replica starts

# What is private to a kernel, a test run, an editor, or to a replica of another job.
_PRIVATE = frozenset(
    {
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "FORCE_COLOR",
        "GIT_PAGER",
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "MPLBACKEND",
        "NODE_RANK",
        "PAGER",
        "PYDEVD_USE_FRAME_EVAL",
        "PYJOB_CONTAINER",
        REPLICA,
        "PYJOB_ROOT",
        "PYTEST_CURRENT_TEST",
        "PYTEST_VERSION",
        "RANK",
        "ROLE_NAME",
        "ROLE_RANK",
        "ROLE_WORLD_SIZE",
        "WORLD_SIZE",
    }
)
_PRIVATE_PREFIXES = (
    "JPY_",
    "JUPYTERHUB_",  # its API token among them
    "JUPYTER_",
    "KERNEL_",  # of a gateway that starts kernels
    "PET_",  # options of torchrun
    "TORCHELASTIC_",
    "VSCODE_",
)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without what a replica must not have of its ancestors."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _PRIVATE and not name.startswith(_PRIVATE_PREFIXES)
    }
