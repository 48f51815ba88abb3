"""What cdk-nag and checkov say about templates, and which of it has been accepted."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ACCEPTED_FILE = Path(__file__).with_name("accepted.toml")
CHECKOV = ROOT / ".venv" / "checkov" / "bin" / "checkov"


@dataclass(frozen=True, order=True)
class Finding:
    """One complaint about one resource; `detail` is what cdk-nag puts in brackets behind a rule's id."""

    rule: str
    detail: str
    kind: str
    logical_id: str
    template: str

    def __str__(self) -> str:
        detail = f"[{self.detail}]" if self.detail else ""
        return f"{self.rule}{detail} {self.kind} {self.logical_id} in {self.template}"


@dataclass(frozen=True)
class Acceptance:
    """Findings that were reviewed and left as they are.

    All but `rule` and `reason` are regular expressions for the whole of a finding's field.
    """

    rule: str
    kind: str
    logical_id: str
    detail: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and all(
            re.fullmatch(getattr(self, field), getattr(finding, field))
            for field in ("kind", "logical_id", "detail")
        )


def acceptances(path: Path = ACCEPTED_FILE) -> list[Acceptance]:
    """One for each rule and each detail that an entry of the file names, so that none can go stale unseen."""
    result = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["accepted"]:
        unknown = entry.keys() - {"rules", "kind", "logical_id", "details", "reason"}
        if unknown:
            raise ValueError(f"{path.name} has no key {sorted(unknown)[0]}, at {entry['rules']}")
        result += [
            Acceptance(
                rule=rule,
                kind=entry["kind"],
                logical_id=entry.get("logical_id", ".*"),
                detail=detail,
                reason=entry["reason"],
            )
            for rule in entry["rules"]
            for detail in entry.get("details", [""])
        ]
    return result


def not_accepted(findings: Iterable[Finding], accepted: Iterable[Acceptance]) -> list[Finding]:
    known = list(accepted)
    return sorted(finding for finding in findings if not any(one.covers(finding) for one in known))


def covered_twice(findings: Iterable[Finding], accepted: Iterable[Acceptance]) -> list[Finding]:
    """Findings with several reasons, of which one will be forgotten when the other is corrected."""
    known = list(accepted)
    return sorted(finding for finding in findings if sum(one.covers(finding) for one in known) > 1)


def stale(findings: Iterable[Finding], accepted: Iterable[Acceptance]) -> list[Acceptance]:
    seen = list(findings)
    return [one for one in accepted if not any(one.covers(finding) for finding in seen)]


def nag(app: Any, templates: Mapping[str, Path]) -> list[Finding]:
    """What the AwsSolutions pack says.

    The finished template is read back: what overrides changed is judged as it will be deployed, and nothing
    in it can have silenced a rule.
    """
    cdk = import_module("aws_cdk")
    include = import_module("aws_cdk.cloudformation_include").CfnInclude
    checks = import_module("cdk_nag").AwsSolutionsChecks(verbose=True)
    findings = []
    for number, (name, path) in enumerate(templates.items()):
        stack = cdk.Stack(app, f"Nag{number}")
        include(stack, "Template", template_file=str(path))
        kinds = _kinds(path)
        for violation in checks.validate_scope(stack).violations:
            rule, _, detail = violation.rule_name.partition("[")
            for resource in violation.violating_resources:
                logical_id = resource.construct_path.rpartition("/")[2]
                findings.append(Finding(rule, detail.removesuffix("]"), kinds[logical_id], logical_id, name))
    return findings


def checkov(folder: Path, templates: Mapping[str, Path]) -> list[Finding]:
    """What checkov says, from one process over all templates: it takes seconds to start.

    Raises:
        AssertionError: a template was not read, or something in it silences a check.
    """
    assert CHECKOV.is_file(), f"no {CHECKOV.relative_to(ROOT)}: run `make setup`"
    for name, path in templates.items():
        (folder / f"{name}.json").write_bytes(path.read_bytes())
    # --skip-download: rules and texts are those of the package; nothing is asked of a server.
    command = [
        str(CHECKOV),
        "--directory",
        ".",
        "--framework",
        "cloudformation",
        "--compact",
        "--skip-download",
    ]
    result = subprocess.run(
        [*command, "--output", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR"},
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    checks = json.loads(result.stdout)["results"]
    assert not checks["parsing_errors"], checks["parsing_errors"]
    assert not checks["skipped_checks"], checks["skipped_checks"]
    read = {_template(check) for check in [*checks["passed_checks"], *checks["failed_checks"]]}
    assert read == set(templates)
    return [
        Finding(check["check_id"], "", *check["resource"].split(".", 1), _template(check))
        for check in checks["failed_checks"]
    ]


def _template(check: Mapping[str, Any]) -> str:
    return str(check["file_path"]).removeprefix("/").removesuffix(".json")


def _kinds(path: Path) -> dict[str, str]:
    resources = json.loads(path.read_text(encoding="utf-8"))["Resources"]
    return {logical_id: resource["Type"] for logical_id, resource in resources.items()}
