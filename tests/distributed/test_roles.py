"""`AssumedRole`: keys of a role from STS, in the process that needs them."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from distributed.steps import column, digest, table
from distributed.sts_server import STSServer, sts_server
from ecr_layer_client import AWSKeys, CredentialsError, InvalidInputError, Repository
from ecr_layer_client.distributed import AssumedRole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecr_layer_client.distributed import TableChecker
    from ecr_layer_client.local import LocalECR

    CheckerOf = Callable[..., TableChecker]

ROLE = "arn:aws:iam::{}:role/layers"


@pytest.fixture
def sts(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> Iterator[STSServer]:
    """Serve STS for this process, whose keys are those of the local ECR."""
    given = ecr.client_kwargs
    ecr.add_key("role-key", "a secret that signs", "a token")
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["aws_secret_access_key"])
    with sts_server("role-key", "a secret that signs") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield server


def test_roles_of_accounts(ecr: LocalECR, sts: STSServer, checker_of: CheckerOf) -> None:
    """Each account's role is assumed once in a process, and its keys sign the requests."""
    accounts = ["111111111111", "222222222222"]
    for size, account in enumerate(accounts):
        for name in ("team/a", "team/b"):
            ecr.seed(name, [(digest(1), size)], registry_id=account)

    def role_of(repository: Repository) -> AssumedRole:
        return AssumedRole(ROLE.format(repository.registry_id))

    checker = checker_of(credentials_for=role_of)
    host = "{}.dkr.ecr.us-east-1.amazonaws.com/team/{}"
    rows = table(*((host.format(each, name), digest(1)) for name in "ab" for each in accounts))
    assert column(checker.run(rows), "size") == [0, 1, 0, 1]
    asked = sorted((each["RoleArn"], each["RoleSessionName"]) for each in sts.requests)
    assert asked == [(ROLE.format(account), "ecr-layers") for account in accounts]


async def _source() -> AWSKeys:
    return AWSKeys("source-key", "another secret", "another token")


@pytest.mark.parametrize(
    ("role", "request_of_it"),
    [
        (AssumedRole(ROLE.format("1" * 12)), ("local-ecr-access-key", "us-east-1", None)),
        (
            AssumedRole(ROLE.format("1" * 12), external_id="ours", source=_source),
            ("source-key", "us-east-1", "ours"),
        ),
        (
            AssumedRole("arn:aws-cn:iam::111111111111:role/x"),
            ("local-ecr-access-key", "cn-north-1", None),
        ),
    ],
    ids=["plain", "source", "china"],
)
def test_request(sts: STSServer, role: AssumedRole, request_of_it: tuple[str, ...]) -> None:
    """STS is asked with the source's keys, in a Region of the role's partition."""
    keys = asyncio.run(role())
    [asked] = sts.requests
    assert (asked["key"], asked["region"], asked.get("ExternalId")) == request_of_it
    assert keys == AWSKeys(
        "role-key", "a secret that signs", "a token", datetime(2099, 1, 1, tzinfo=UTC)
    )


def test_configured_region(sts: STSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS is asked in the Region of the AWS configuration."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    asyncio.run(AssumedRole(ROLE.format("1" * 12))())
    assert sts.requests[0]["region"] == "eu-west-1"


def test_denied(sts: STSServer, checker_of: CheckerOf) -> None:
    """A role that can't be assumed is an error of credentials, which names the account."""
    sts.is_denied = True
    checker = checker_of(credentials=AssumedRole(ROLE.format("1" * 12)))
    uri = "111111111111.dkr.ecr.us-east-1.amazonaws.com/team/app"
    with pytest.raises(CredentialsError, match=r"not authorized.*account 111111111111"):
        checker.run(table((uri, digest(1))))


def test_value() -> None:
    """A role can be pickled, and is equal by value."""
    role = AssumedRole(ROLE.format("1" * 12), source=_source)
    assert pickle.loads(pickle.dumps(role)) == role
    assert hash(role) == hash(AssumedRole(ROLE.format("1" * 12), source=_source))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("layers",), "role_arn='layers' is not the ARN of a role"),
        ((None,), "role_arn=None is not the ARN of a role"),
        ((ROLE.format("1" * 12), "a b"), "session_name='a b' is not valid"),
        ((ROLE.format("1" * 12), 1), "session_name=1 is not valid"),
    ],
    ids=["name", "none", "session", "session-type"],
)
def test_bad_members(members: Any, message: str) -> None:
    """A role that STS would refuse is refused where it is named."""
    with pytest.raises(InvalidInputError, match=message):
        AssumedRole(*members)
