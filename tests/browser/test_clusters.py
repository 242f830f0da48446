"""A cluster in JupyterLab: what the doctor finds, what settings say, and a job that runs there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.browser.conftest import Open
from tests.browser.lab import Lab, Notebook
from tests.state import VARIABLE

pytestmark = pytest.mark.browser

SETTINGS = """
[profiles.cluster]
on = "kubernetes"
kubeconfig = "kubeconfig.yaml"
cpu = 1
env = { HF_TOKEN = "hf_secret" }
"""


@pytest.fixture
def notebook(open_notebook: Open, lab: Lab) -> Notebook:
    """Open a notebook beside settings for a cluster, which the embedded API plays."""
    command = [sys.executable, "-m", "pyjob_magic.cli", "kubeconfig", "--output"]
    environment = {**os.environ, VARIABLE: str(lab.home)}
    subprocess.run([*command, str(lab.root / "kubeconfig.yaml")], env=environment, check=True)
    (lab.root / "pyjob.toml").write_text(SETTINGS)
    return open_notebook(
        "%load_ext pyjob_magic",
        "%pytorchjob doctor --profile cluster",
        "%pytorchjob profiles",
        "%%pytorchjob there --profile cluster --workers 1 --follow\nprint('hello from a cluster')",
        '%%pytorchjob there --profile cluster --patch \'{{"spec": {{"wrokers": 2}}}}\'\npass',
    )


def test_a_cluster_is_looked_at_and_runs_a_cell(notebook: Notebook, lab: Lab) -> None:
    """One word in the line is all that differs, and nothing secret is on the screen."""
    notebook.run_all()

    doctor, profiles, job, refusal = (notebook.text(index) for index in (1, 2, 3, 4))
    assert "kubeflow.org/v1 with status and scale" in doctor
    assert notebook.output(1).locator("tr.pyjob-found-ok").count() > 10
    assert "HF_TOKEN=***" in profiles
    assert "pyjob.toml: profiles.cluster.kubeconfig" in profiles
    assert "kubernetes (pyjob-magic) / default" in job
    assert "[worker-0] hello from a cluster" in job
    assert refusal.startswith("InvalidError: kubernetes refused to create PyTorchJob 'there' (400)")
    assert "spec.wrokers: unknown field" in refusal
    (lab.root / "pyjob.toml").unlink()
    saved = notebook.path.read_text() + "".join(map(str, notebook.save()))
    assert "hf_secret" not in saved
