"""Reports the findings about a tier or a job that is used alone, without a platform."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Annotations
from constructs import IConstruct

from batch_stack.preflight.finding import Finding


def report(scope: IConstruct, findings: Sequence[Finding]) -> None:
    """Raises the errors among findings, and shows the warnings as annotations of CDK.

    Args:
        scope: the construct that the findings are about.
        findings: the findings.

    Raises:
        ValueError: there are errors; the message has all of them, and the construct's path.
    """
    refuse(findings, at=scope.node.path)
    for finding in findings:
        Annotations.of(scope).add_warning_v2(finding.id, finding.message)


def refuse(findings: Sequence[Finding], *, at: str) -> None:
    """Raises the errors among findings.

    Args:
        findings: the findings.
        at: the path of the construct that they are about.

    Raises:
        ValueError: there are errors; the message has all of them, and the path.
    """
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        raise ValueError("\n  ".join([f"{errors[0]} at {at}", *errors[1:]]))
