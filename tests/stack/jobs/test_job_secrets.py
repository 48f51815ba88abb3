"""Secrets of jobs: what the definition says, and who may read it."""

from typing import Any

import pytest

from tests.stack.jobs.conftest import FULL_SECRET, KEY, OTHER_PARAMETER, PARTIAL_SECRET
from tests.stack.jobs.reading import HERE, allowed, container, flat, listed, statements

pytestmark = pytest.mark.stack


def test_secrets_are_named_by_arns_of_this_account_and_region(kinds: dict[str, Any]) -> None:
    secrets = {secret["Name"]: flat(secret["ValueFrom"]) for secret in container(kinds, "secrets")["Secrets"]}
    assert secrets == {
        "PASSWORD": f"arn:{{AWS::Partition}}:secretsmanager:{HERE}:secret:db/main:password::",
        "LICENCE": FULL_SECRET,
        "PARTIAL": PARTIAL_SECRET,
        "TOKEN": f"arn:{{AWS::Partition}}:ssm:{HERE}:parameter/tool/token",
        "BARE": f"arn:{{AWS::Partition}}:ssm:{HERE}:parameter/bare",
        "REMOTE": OTHER_PARAMETER,
    }


def test_the_execution_role_reads_these_secrets_and_the_job_role_none(kinds: dict[str, Any]) -> None:
    role = "SecretsExecutionRole"
    # A secret's whole ARN ends in six characters that only AWS knows.
    assert allowed(kinds, role, "secretsmanager:GetSecretValue") == {
        f"arn:{{AWS::Partition}}:secretsmanager:{HERE}:secret:db/main-??????",
        FULL_SECRET,
        f"{PARTIAL_SECRET}-??????",
    }
    assert allowed(kinds, role, "ssm:GetParameters") == {
        f"arn:{{AWS::Partition}}:ssm:{HERE}:parameter/tool/token",
        f"arn:{{AWS::Partition}}:ssm:{HERE}:parameter/bare",
        OTHER_PARAMETER,
    }
    actions = {action for s in statements(kinds, role) for action in listed(s["Action"])}
    assert actions == {
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameters",
    }
    assert statements(kinds, "SecretsJobRole") == []


def test_a_customers_key_decrypts_through_the_secrets_own_service_only(kinds: dict[str, Any]) -> None:
    through = {
        flat(s["Condition"]["StringEquals"]["kms:ViaService"])
        for s in statements(kinds, "SecretsExecutionRole")
        if s["Action"] == "kms:Decrypt" and s["Resource"] == KEY
    }
    assert through == {
        "secretsmanager.eu-west-1.{AWS::URLSuffix}",
        "ssm.{AWS::Region}.{AWS::URLSuffix}",
    }
