"""What a scheduler says of pods that it cannot place, as people say it."""

from __future__ import annotations

import re

from pyjob_magic.diagnosis.rules import Rule, Verdict, judge

_ALL = re.compile(r"\d+/(?P<all>\d+) nodes are available: (?P<reasons>.*)")
_COUNTED = re.compile(r"(?P<count>\d+) (?P<reason>.*)")
# What the embedded API says: how much the job asks for, and how much there is.
_AMOUNTS = re.compile(r"Insufficient (?P<resource>[\w./-]+): (?P<amounts>the job asks for [^;]+)")

# Source: the filter plugins of kube-scheduler, ``pkg/scheduler/framework/plugins``.
REASONS = (
    Rule(r"Insufficient cpu", "not enough free CPUs", "ask for fewer with --cpu"),
    Rule(r"Insufficient memory", "not enough free memory", "ask for less with --memory"),
    Rule(
        r"Insufficient (?P<resource>\S*(?:gpu|Ascend)\S*)",
        "not enough free GPUs ({resource})",
        "ask for fewer with --gpus or --workers",
    ),
    Rule(r"Insufficient (?P<resource>\S+)", "not enough free {resource}", "ask for less of it"),
    Rule(r"Too many pods", "too many pods already", "ask for fewer --workers"),
    Rule(
        r"untolerated taint \{(?P<taint>.*?):? ?\}",
        "a taint that the job does not tolerate ({taint})",
        "tolerate it with --toleration if the job may run there",
    ),
    Rule(
        r"node affinity/selector",
        "not the labels that the job asks for",
        "correct --node-selector",
    ),
    Rule(
        r"volume node affinity|available persistent volumes",
        "no way to reach the job's volume",
        "check the volume of --mount",
    ),
    Rule(r"unschedulable", "been closed to new pods", "wait, or ask who runs the cluster"),
)


def explain_unschedulable(message: str) -> Verdict:
    """Return what is short and on how many nodes, and what to do, from a scheduler's message."""
    if amounts := list(_AMOUNTS.finditer(message)):
        return _on_this_machine(message, amounts)
    found = _ALL.search(message)
    if found is None:
        return _otherwise(message)
    # Behind it stands what would be gained by ending other pods.
    reasons = found["reasons"].partition(" preemption: ")[0].rstrip(".")
    says, advice = [], []
    for part in reasons.split(", "):
        counted = _COUNTED.match(part)
        verdict = judge(REASONS, part, {}) or Verdict(f"{part!r}")
        has = (
            f"{counted['count']} {'has' if counted['count'] == '1' else 'have'} " if counted else ""
        )
        says.append(has + verdict.says)
        advice.append(verdict.advice)
    nodes = f"of {found['all']} node{'' if found['all'] == '1' else 's'} "
    return Verdict(nodes + ", ".join(says), _joined([*advice, "or wait until there is room"]))


def _on_this_machine(message: str, found: list[re.Match[str]]) -> Verdict:
    says, advice = [], []
    for each in found:
        verdict = judge(REASONS, each[0].partition(":")[0], {}) or Verdict(each["resource"])
        says.append(f"{verdict.says}: {each['amounts']}")
        advice.append(verdict.advice)
    never = "can never run it" in message
    return Verdict(
        "; ".join(says), _joined([*advice, "" if never else "or wait for others to end"])
    )


def _otherwise(message: str) -> Verdict:
    if "no nodes available" in message:
        says = "the cluster has no node that takes replicas"
        return Verdict(says, "ask who runs it; where nodes are added when needed, wait")
    return Verdict(message, "wait, or ask who runs the cluster")


def _joined(advice: list[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, advice)))
