"""IAM and STS of the local cloud: AWS services assume roles, and policies decide about requests.

MiniStack evaluates the policies. This module adds the resources and condition keys of AWS Batch, and the
roles that rules, schedules, state machines and jobs act under.
"""

import json
import secrets
import string
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote

from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.aws.client import CallError, InProcessClient
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.ministack.internals import MiniStack, PolicyDenial

_SESSION_S = 3600
_KEY_ALPHABET = string.ascii_uppercase + "234567"

Query = dict[str, list[str]]


class Iam:
    """MiniStack's IAM and STS. Every method must run on the event loop, in the account's scope.

    Args:
        ministack: the adapter.
        client: calls IAM.
        account: the 12-digit AWS account of all resources.
        region: the AWS Region.
    """

    def __init__(self, ministack: MiniStack, client: InProcessClient, account: str, region: str) -> None:
        self._ministack = ministack
        self._client = client
        self._account = account
        self._region = region

    def enforce(self) -> None:
        """Corrects what MiniStack checks on every request when IAM is enforced."""
        # Treat every request as sent over TLS: nothing leaves this machine, and policies that demand TLS,
        # such as that of the bucket of `cdk bootstrap`, would deny everything.
        ministack = self._ministack
        pin = ministack.pin_request_origin
        ministack.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)
        # BatchGuard checks the requests to AWS Batch, with their resources; MiniStack checks their signature.
        ministack.namespaces.pop("batch", None)
        resource_arn, iam_action = ministack.extract_resource_arn, ministack.extract_iam_action

        def extract_resource_arn(service: str, *request: Any) -> str:
            found = resource_arn(service, *request)
            body, region, account = request[3], request[5], request[6]
            return listed_resource(service, body, region, account) if found == "*" else found

        def extract_iam_action(service: str, *request: Any) -> str | None:
            found = iam_action(service, *request)
            return budget_action(found) if found and service == "budgets" else found

        ministack.extract_resource_arn = extract_resource_arn
        ministack.extract_iam_action = extract_iam_action

    def denial(self, headers: Mapping[str, str], query: Query, check: Check) -> str | None:
        """Returns why the signer of the current request lacks a permission; None if it has the permission.

        Args:
            headers: the request's headers, with names in lower case.
            query: the request's query.
            check: the permission.
        """
        return self._denial(self._ministack.extract_access_key_id(headers, query), check)

    async def role_denial(
        self, role_arn: str, checks: Iterable[Check], *, service: str, source_arn: str
    ) -> str | None:
        """Returns why a role that a service assumes lacks a permission; None if it has all permissions.

        Args:
            role_arn: the role.
            checks: the permissions.
            service: the service that assumes the role, such as ``events.amazonaws.com``.
            source_arn: the resource on whose behalf the service acts.

        Raises:
            ClientError: the service cannot assume the role.
        """
        taken = await self.assume(
            role_arn, source_arn.rsplit("/", 1)[-1], service=service, source_arn=source_arn
        )
        denials = (self._denial(taken.access_key_id, check) for check in checks)
        return next((denial for denial in denials if denial is not None), None)

    def _denial(self, access_key_id: str, check: Check) -> str | None:
        denied = self._ministack.enforce(
            access_key_id,
            check.action,
            check.action.partition(":")[0],
            self._region,
            resource_arn=check.resource,
            service_context=dict(check.context),
        )
        if denied is None:
            return None
        if isinstance(denied, self._ministack.auth_error):
            return denied.message
        policy = cast("PolicyDenial", denied)
        return denial_text(policy.principal_arn, check, explicit=policy.decision == "Deny")

    async def assume(self, role_arn: str, session_name: str, *, service: str, source_arn: str) -> Credentials:
        """Assumes a role for an AWS service.

        Args:
            role_arn: the role.
            session_name: the name of the session.
            service: the service that assumes the role, such as ``ecs-tasks.amazonaws.com``.
            source_arn: the resource on whose behalf it acts: ``aws:SourceArn`` in the role's trust policy.

        Raises:
            ClientError: the role does not exist, or does not trust the service.
        """
        try:
            role = (await self._client.call("iam", "GetRole", RoleName=role_arn.rsplit("/", 1)[-1]))["Role"]
        except CallError as error:
            raise ClientError(f"Role {role_arn} cannot be assumed: {error}") from error
        if role["Arn"] != role_arn:
            raise ClientError(f"Role {role_arn} does not exist; one of its name is {role['Arn']}")
        context = self._ministack.eval_context(
            principal_arn=service,
            principal_type="Service",
            principal_account=self._account,
            action="sts:AssumeRole",
            resource_arn=role_arn,
            region=self._region,
            service_context={"aws:sourceaccount": self._account, "aws:sourcearn": source_arn},
        )
        document = statements_for(role.get("AssumeRolePolicyDocument"), service)
        if not self._ministack.evaluate_trust_policy(document, service, context):
            raise ClientError(f"Role {role_arn} does not trust {service}")
        return self._session(role, session_name)

    async def instance_roles(self, profile: str) -> list[str]:
        """Returns the ARNs of the roles in an instance profile; empty if the profile does not exist.

        Args:
            profile: the profile's name or ARN.
        """
        name = profile.rsplit("/", 1)[-1]
        try:
            found = await self._client.call("iam", "GetInstanceProfile", InstanceProfileName=name)
        except CallError:
            return []
        return [str(role["Arn"]) for role in found["InstanceProfile"]["Roles"]]

    def _session(self, role: Mapping[str, Any], session_name: str) -> Credentials:
        name = session_name[:64]
        key = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
        expires_s = time.time() + _SESSION_S
        credentials = Credentials(
            access_key_id=key,
            secret_access_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(96),
            expiration=datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        self._ministack.register_session(
            key,
            {
                "Arn": f"arn:aws:sts::{self._account}:assumed-role/{role['RoleName']}/{name}",
                "UserId": f"{role['RoleId']}:{name}",
                "SecretAccessKey": credentials.secret_access_key,
                "SessionToken": credentials.session_token,
                "Expiration": expires_s,
                "AccountId": self._account,
                "PrincipalType": "AssumedRole",
            },
        )
        return credentials


def denial_text(principal_arn: str, check: Check, *, explicit: bool) -> str:
    """Returns the text of a denial as AWS writes it."""
    why = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {check.action} action"
    )
    what = f"{check.action} on resource: {check.resource}"
    return f"User: {principal_arn} is not authorized to perform: {what} {why}"


def statements_for(document: object, service: str) -> dict[str, Any]:
    """Returns a trust policy with the statements for one service only, their principal replaced by ``*``.

    The principals are compared here, so that MiniStack's evaluator decides by effects and conditions alone.

    Args:
        document: the policy, as JSON text (percent-encoded or not) or parsed.
        service: such as ``events.amazonaws.com``.
    """
    parsed = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = parsed.get("Statement", []) if isinstance(parsed, Mapping) else []
    kept = [
        {**statement, "Principal": "*"}
        for statement in (statements if isinstance(statements, list) else [statements])
        if _names(statement.get("Principal"), service)
    ]
    return {"Statement": kept}


def _names(principal: object, service: str) -> bool:
    if not isinstance(principal, Mapping):
        return principal == "*"
    services = principal.get("Service", [])
    return service in (services if isinstance(services, list) else [services])


def budget_action(operation: str) -> str:
    """Returns the permission that an operation of AWS Budgets needs; few have the name of the operation.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html

    Args:
        operation: such as ``budgets:DescribeBudget``.
    """
    name = operation.partition(":")[2]
    if "Tag" in name or "BudgetAction" in name:
        return operation
    return "budgets:ViewBudget" if name.startswith("Describe") else "budgets:ModifyBudget"


def listed_resource(service: str, body: bytes, region: str, account: str) -> str:
    """Returns the resource of a request that names it in a list of one, such as ``ecr:DescribeRepositories``.

    Args:
        service: the service's name in credential scopes.
        body: the request's body.
        region: the AWS Region.
        account: the AWS account.
    """
    if service == "budgets":
        return budget_resource(body, account)
    members: dict[str, tuple[str, Callable[[str], str]]] = {
        "ecr": ("repositoryNames", lambda name: f"repository/{name}"),
        "ssm": ("Names", lambda name: f"parameter/{name.removeprefix('/')}"),
    }
    if service not in members:
        return "*"
    member, resource = members[service]
    try:
        names = json.loads(body or b"{}").get(member) or []
    except (ValueError, AttributeError):
        return "*"
    return f"arn:aws:{service}:{region}:{account}:{resource(str(names[0]))}" if len(names) == 1 else "*"


def budget_resource(body: bytes, account: str) -> str:
    """Returns the ARN of the budget that a request names; ``*`` if it names none.

    Args:
        body: the request's body.
        account: the AWS account.
    """
    try:
        request = json.loads(body or b"{}")
        name = request.get("BudgetName") or (request.get("Budget") or request["NewBudget"])["BudgetName"]
    except (ValueError, AttributeError, KeyError, TypeError):
        return "*"
    return f"arn:aws:budgets::{account}:budget/{name}"
