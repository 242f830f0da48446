"""Pod templates and patches: what a job gets for which there is no option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic import overlays
from pyjob_magic.connection import connect
from pyjob_magic.errors import ManifestError, OptionError
from pyjob_magic.manifest import Manifest, load
from pyjob_magic.options import JobOptions
from tests.data import SEED

SECURE = {"runAsNonRoot": True}
SIDECAR = {"name": "proxy", "image": "p:1"}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "a"}, "name": "dropped"},
    "spec": {
        "securityContext": SECURE,
        "containers": [
            {"name": "pytorch", "image": "t:1", "env": [{"name": "A", "value": "template"}]},
            SIDECAR,
        ],
        "volumes": [{"name": "dshm", "emptyDir": {}}, {"name": "ssd", "hostPath": {"path": "/s"}}],
    },
}


def built(**said: Any) -> Manifest:
    return connect().build("print(1)", JobOptions.read({"name": "job", **said}))


def pod(manifest: Manifest, kind: str = "Master") -> dict[str, Any]:
    wire = manifest.job.to_wire()["spec"]["pytorchReplicaSpecs"][kind]["template"]
    found: dict[str, Any] = wire
    return found


class TestPodTemplate:
    """`--pod-template FILE`."""

    def test_it_goes_under_what_is_said(self, tmp_path: Path) -> None:
        """Options win, the template wins over what nobody said, in every replica."""
        file = tmp_path / "pod.yaml"
        file.write_text(json.dumps(TEMPLATE))

        manifest = built(pod_template=str(file), workers=2, env={"A": "said"}, memory="2Gi")

        for kind in ("Master", "Worker"):
            template = pod(manifest, kind)
            main, sidecar = template["spec"]["containers"]
            assert template["metadata"]["labels"] == {"team": "a"}
            assert template["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
            assert template["spec"]["securityContext"] == SECURE
            assert (main["name"], main["image"]) == ("pytorch", "t:1")
            assert main["env"] == [{"name": "A", "value": "said"}]
            assert main["resources"]["limits"] == {"memory": "2Gi"}
            assert main["volumeMounts"] == [{"name": "dshm", "mountPath": "/dev/shm"}]
            assert main["command"][0] == "python3"
            assert sidecar == SIDECAR
            assert template["spec"]["volumes"] == TEMPLATE["spec"]["volumes"]
        assert built(pod_template=TEMPLATE, image="said:1").job != manifest.job

    @pytest.mark.parametrize(
        "given",
        [
            {"nodeSelector": {"disk": "ssd"}},
            {"spec": {"nodeSelector": {"disk": "ssd"}}},
            {"kind": "Pod", "apiVersion": "v1", "spec": {"nodeSelector": {"disk": "ssd"}}},
            {"kind": "PodTemplate", "template": {"spec": {"nodeSelector": {"disk": "ssd"}}}},
            {"containers": [{"name": "main"}], "nodeSelector": {"disk": "ssd"}},
        ],
    )
    def test_it_may_be_a_template_a_spec_or_a_pod(self, given: dict[str, Any]) -> None:
        """An only container is the one that trains, whatever its name is."""
        spec = pod(built(pod_template=given))["spec"]

        assert spec["nodeSelector"] == {"disk": "ssd"}
        assert [container["name"] for container in spec["containers"]] == ["pytorch"]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"kind": "Deployment", "spec": {}}, "a Deployment is none: give a Pod"),
            ({"kind": "Pod", "metadata": {}}, "it has no spec"),
            ({"spec": 3}, "spec and metadata must be objects"),
            ({"containers": ["x"]}, "spec.containers must be a list of objects"),
            ({"containers": [{"name": "a"}, {"name": "b"}]}, r"containers \(a, b\) is 'pytorch'"),
            ({"volumes": [{"emptyDir": {}}]}, "spec.volumes.0.name: Field required"),
        ],
    )
    def test_what_is_no_template_is_refused(self, given: dict[str, Any], reason: str) -> None:
        """The line names the option."""
        with pytest.raises(OptionError, match=f"^--pod-template: .*{reason}"):
            built(pod_template=given)

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        """Missing, or no YAML."""
        broken = tmp_path / "pod.yaml"
        broken.write_text("a: [")

        with pytest.raises(OptionError, match=r"--pod-template: cannot read 'no.yaml'"):
            built(pod_template="no.yaml")
        with pytest.raises(OptionError, match=r"pod.yaml: neither YAML nor JSON"):
            built(pod_template=str(broken))


class TestPatch:
    """`--patch PATCH`."""

    def test_it_is_applied_last_and_in_order(self, tmp_path: Path) -> None:
        """Typed as JSON or YAML, or read from a file, with and without the sign for one."""
        named, signed = tmp_path / "a.yaml", tmp_path / "b.json"
        named.write_text("spec: {runPolicy: {cleanPodPolicy: All}}")
        signed.write_text('{"metadata": {"labels": {"tier": "b"}}}')
        patches = [
            '{"spec": {"runPolicy": {"backoffLimit": null, "cleanPodPolicy": "None"}}}',
            str(named),
            f"@{signed}",
            "spec: {runPolicy: {schedulingPolicy: {queue: q}}}",
        ]

        wire = built(patch=patches, backoff_limit=5).job.to_wire()

        assert wire["spec"]["runPolicy"] == {
            "cleanPodPolicy": "All",
            "schedulingPolicy": {"queue": "q"},
        }
        assert wire["metadata"]["labels"] == {"tier": "b"}

    def test_processes_that_a_patch_asks_for_are_started(self) -> None:
        """What starts the program follows from the patched manifest."""
        manifest = built(patch=['{"spec": {"nprocPerNode": "2"}}'])

        assert pod(manifest)["spec"]["containers"][0]["command"][-1] == "torchrun"

    @pytest.mark.parametrize(
        "containers", [[{"name": "pytorch", "image": "x"}], [{"name": "other", "image": "x"}]]
    )
    def test_the_cell_cannot_get_lost(self, containers: list[Any]) -> None:
        """A patch that replaces the containers would run something else."""
        patch = {
            "spec": {
                "pytorchReplicaSpecs": {
                    "Master": {"template": {"spec": {"containers": containers}}}
                }
            }
        }

        with pytest.raises(OptionError, match=r"^--patch: takes the cell from Master"):
            built(patch=[patch])

    def test_the_volume_of_a_large_cell_cannot_get_lost(self) -> None:
        """The ConfigMap must stay mounted."""
        patch = {
            "spec": {"pytorchReplicaSpecs": {"Master": {"template": {"spec": {"volumes": None}}}}}
        }

        with pytest.raises(OptionError, match=r"^--patch: takes the cell from Master"):
            connect().build("# " + "x" * 200_000 + "\npass", patch=[patch])

    def test_what_is_left_must_be_a_job(self) -> None:
        """The error names the field."""
        with pytest.raises(ManifestError, match=r"^--patch: .*: spec.pytorchReplicaSpecs: Field"):
            built(patch=['{"spec": {"pytorchReplicaSpecs": null}}'])

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ("no-such-file.yaml", "'no-such-file.yaml' is no object; write @FILE"),
            ("@no.yaml", "cannot read 'no.yaml'"),
            ("{a", "neither YAML nor JSON"),
            ("{a: 2026-02-30}", "neither YAML nor JSON: day"),
        ],
    )
    def test_what_is_no_patch_is_refused(self, said: str, reason: str) -> None:
        """The line names the option."""
        with pytest.raises(OptionError, match=f"^--patch: {reason}"):
            built(patch=[said])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECT = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(target=OBJECT, patch=OBJECT)
def test_a_merge_patch_says_what_is_there_afterwards(target: Any, patch: Any) -> None:
    """Its nulls are gone, its values are there, and applying it again changes nothing."""
    once = overlays.merge_patch(target, patch)

    assert overlays.merge_patch(once, patch) == once
    for key, value in patch.items():
        if value is None:
            assert key not in once
        elif not isinstance(value, dict):
            assert once[key] == value
    assert {key: once[key] for key in target if key not in patch} == {
        key: value for key, value in target.items() if key not in patch
    }


def test_a_queue_suspends_the_job_only() -> None:
    """The label is the job's, not its replicas'; a priority class is every replica's."""
    manifest = built(queue="team-a", priority_class="high", workers=1, labels={"a": "b"})
    wire = manifest.job.to_wire()

    assert wire["metadata"]["labels"] == {"a": "b", "kueue.x-k8s.io/queue-name": "team-a"}
    assert wire["spec"]["runPolicy"]["suspend"] is True
    assert pod(manifest)["metadata"]["labels"] == {"a": "b"}
    assert pod(manifest, "Worker")["spec"]["priorityClassName"] == "high"


def test_a_template_merges_into_a_given_manifest() -> None:
    """`--from` is the start, the template goes over it, options over both."""
    base = load(json.dumps(SEED), file="seed.json")

    manifest = connect().build("x = 1", base=base, pod_template=TEMPLATE, workers=3)

    assert pod(manifest, "Worker")["spec"]["containers"][0]["image"] == "t:1"
    assert pod(manifest, "Master")["spec"]["securityContext"] == SECURE
