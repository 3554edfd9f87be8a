"""Settings of a repository or an account: mutability, scanning, tags, policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.one_repository import ACCOUNT, OneRepository, a_manifest

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app"
IDENTITY = {"registryId": ACCOUNT, "repositoryName": "app"}
WHERE = f"the repository with name 'app' in the registry with id '{ACCOUNT}'"
FILTERS = [{"filterType": "WILDCARD", "filter": "dev-*"}]


def described(repository: OneRepository) -> dict[str, Any]:
    """Return the repository as DescribeRepositories returns it."""
    [row] = repository.registry.run("DescribeRepositories", {})["repositories"]
    return dict(row)


# -- the description


def test_tags_become_immutable() -> None:
    """After PutImageTagMutability, the repository has the setting and PutImage follows it."""
    repository = OneRepository()
    repository.put(a_manifest(), "1")
    setting = {"imageTagMutability": "IMMUTABLE"}

    assert repository.run("PutImageTagMutability", **setting) == {**IDENTITY, **setting}
    assert described(repository)["imageTagMutability"] == "IMMUTABLE"
    assert (
        repository.rejected("PutImage", imageManifest=a_manifest(note="new"), imageTag="1")[0]
        == "ImageTagAlreadyExistsException"
    )


def test_filters_are_replaced_with_the_mutability() -> None:
    """PutImageTagMutability sets filters, and a later one without filters removes them."""
    repository = OneRepository()
    setting = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": FILTERS,
    }

    assert repository.run("PutImageTagMutability", **setting) == {**IDENTITY, **setting}
    assert described(repository)["imageTagMutabilityExclusionFilters"] == FILTERS
    repository.run("PutImageTagMutability", imageTagMutability="MUTABLE")
    assert "imageTagMutabilityExclusionFilters" not in described(repository)


def test_filters_without_exclusion_are_rejected() -> None:
    """PutImageTagMutability rejects filters for IMMUTABLE, and changes nothing (assumed)."""
    repository = OneRepository()
    before = described(repository)
    code, message = repository.rejected(
        "PutImageTagMutability",
        imageTagMutability="IMMUTABLE",
        imageTagMutabilityExclusionFilters=FILTERS,
    )

    assert (code, "at 'imageTagMutabilityExclusionFilters'" in message, described(repository)) == (
        "InvalidParameterException",
        True,
        before,
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [({"scanOnPush": True}, {"scanOnPush": True}), ({}, {"scanOnPush": False})],
    ids=["on", "default"],
)
def test_scanning_is_configured(given: dict[str, bool], kept: dict[str, bool]) -> None:
    """PutImageScanningConfiguration sets scanOnPush, whose default is false."""
    repository = OneRepository(imageScanningConfiguration={"scanOnPush": not kept["scanOnPush"]})
    answer = repository.run("PutImageScanningConfiguration", imageScanningConfiguration=given)
    assert (answer, described(repository)["imageScanningConfiguration"]) == (
        {**IDENTITY, "imageScanningConfiguration": kept},
        kept,
    )


@pytest.mark.parametrize("kind", ["KMS", "KMS_DSSE"])
def test_a_repository_without_a_key_has_ecrs_own_key(kind: str) -> None:
    """CreateRepository with KMS and no key returns the ARN of a key of the account."""
    repository = OneRepository(encryptionConfiguration={"encryptionType": kind})
    key = described(repository)["encryptionConfiguration"]["kmsKey"]
    assert key.startswith(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/")


@pytest.mark.parametrize(
    "encryption",
    [{"encryptionType": "AES256"}, {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:mine"}],
    ids=["AES256", "own key"],
)
def test_an_encryption_is_kept(encryption: dict[str, str]) -> None:
    """A key that is given is kept, and a repository without KMS has none."""
    repository = OneRepository(encryptionConfiguration=encryption)
    assert described(repository)["encryptionConfiguration"] == encryption


# -- resource tags


def tags_of(repository: OneRepository) -> dict[str, str]:
    """Return the tags of ListTagsForResource."""
    tags = repository.run("ListTagsForResource", resourceArn=ARN)["tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_tags_are_added_replaced_and_removed() -> None:
    """Tags of CreateRepository and TagResource are listed until UntagResource removes them."""
    repository = OneRepository(tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}])
    added = [{"Key": "cost", "Value": "2"}, {"Key": "env", "Value": ""}]

    assert repository.run("TagResource", resourceArn=ARN, tags=added) == {}
    assert tags_of(repository) == {"cost": "2", "env": "", "team": "a"}
    assert repository.run("UntagResource", resourceArn=ARN, tagKeys=["team", "unheard"]) == {}
    assert tags_of(repository) == {"cost": "2", "env": ""}


def test_the_limit_of_tags_counts_those_of_earlier_requests() -> None:
    """A tag beyond 50 is TooManyTagsException, and a new value for one of the 50 is accepted."""
    tags = [{"Key": str(number), "Value": "old"} for number in range(50)]
    repository = OneRepository(tags=tags)
    more = [{"Key": "50", "Value": ""}]

    assert repository.rejected("TagResource", resourceArn=ARN, tags=more) == (
        "TooManyTagsException",
        "The number of tags must be at most 50, not 51",
    )
    repository.run("TagResource", resourceArn=ARN, tags=[{"Key": "7", "Value": "new"}])
    assert (len(tags_of(repository)), tags_of(repository)["7"]) == (50, "new")


@pytest.mark.parametrize(
    "arn",
    [
        "app",
        "arn:aws:ecr",
        "arn:aws:s3:::bucket",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/app",
        ARN.replace("us-east-1", "eu-west-1"),
    ],
    ids=["name", "short", "s3", "uri", "region"],
)
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ListTagsForResource", {}),
        ("TagResource", {"tags": [{"Key": "a", "Value": "b"}]}),
        ("UntagResource", {"tagKeys": ["a"]}),
    ],
)
def test_a_resource_is_a_repository_of_the_region(
    operation: str, members: dict[str, Any], arn: str
) -> None:
    """A text that is not the ARN of a repository in this Region is InvalidParameterException."""
    assert OneRepository().rejected(operation, resourceArn=arn, **members) == (
        "InvalidParameterException",
        "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
    )


def test_an_arn_names_the_account() -> None:
    """The repository is one of the account in the ARN."""
    arn = ARN.replace(ACCOUNT, "999999999999")
    assert OneRepository().rejected("ListTagsForResource", resourceArn=arn) == (
        "RepositoryNotFoundException",
        "The repository with name 'app' does not exist in the registry with id '999999999999'",
    )


# -- policies

RULE: dict[str, Any] = {
    "rulePriority": 1,
    "description": "Keep the last thirty images that nobody tagged",
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 30},
    "action": {"type": "expire"},
}
LIFECYCLE = json.dumps({"rules": [RULE]}, indent=1)
STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": ["ecr:DescribeImages"],
}
REPOSITORY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}, indent=1)
KINDS = pytest.mark.parametrize(
    ("put", "kind", "member", "text", "extra"),
    [
        ("Put", "Lifecycle", "lifecyclePolicyText", LIFECYCLE, {"lastEvaluatedAt": 0.0}),
        ("Set", "Repository", "policyText", REPOSITORY, {}),
    ],
    ids=["lifecycle", "repository"],
)


@KINDS
def test_a_policy_is_kept_until_it_is_deleted(
    put: str, kind: str, member: str, text: str, extra: dict[str, float]
) -> None:
    """A policy is returned as it was put, and deleted with the words of ECR."""
    repository = OneRepository()
    absent = (
        f"{kind}PolicyNotFoundException",
        f"{kind} policy does not exist for {WHERE}",
    )

    assert repository.rejected(f"Get{kind}Policy") == absent
    assert repository.run(f"{put}{kind}Policy", **{member: text}) == {**IDENTITY, member: text}
    assert repository.run(f"Get{kind}Policy") == {**IDENTITY, member: text, **extra}
    assert repository.run(f"Delete{kind}Policy") == {**IDENTITY, member: text, **extra}
    assert repository.rejected(f"Delete{kind}Policy") == absent


def rule(selection: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a rule with changes in itself or in its selection."""
    return {**RULE, "selection": RULE["selection"] | (selection or {}), **changes}


ANY = {"tagStatus": "any"}
TAGGED = {"tagStatus": "tagged", "tagPrefixList": ["v"]}


@pytest.mark.parametrize(
    "rules",
    [
        [rule(TAGGED), rule(ANY, rulePriority=2)],
        [rule({"countType": "sinceImagePulled", "countUnit": "days"})],
        [rule({"tagStatus": "tagged", "tagPatternList": ["v*"]})],
        [rule(action={"type": "transition", "targetStorageClass": "archive"})],
        [rule({"storageClass": "archive"})],
    ],
    ids=["any last", "pulled", "pattern", "transition", "archive"],
)
def test_a_lifecycle_policy_of_aws_documentation_is_kept(rules: list[dict[str, Any]]) -> None:
    """Every member that AWS documents is accepted."""
    text = json.dumps({"rules": rules})
    answer = OneRepository().run("PutLifecyclePolicy", lifecyclePolicyText=text)
    assert answer["lifecyclePolicyText"] == text


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("{", "Could not map policyString into LifecyclePolicy."),
        ([RULE], "Could not map policyString into LifecyclePolicy."),
        ({}, "rules: Field required"),
        ({"rules": []}, "rules: List should have at least 1 item after validation, not 0"),
        (
            {"rules": [rule(rulePriority=number) for number in range(1, 52)]},
            "rules: List should have at most 50 items after validation, not 51",
        ),
        ({"rules": [rule(rulePriority="1")]}, "rules.0.rulePriority: Input should be a valid"),
        ({"rules": [rule(), rule()]}, "rules: each rulePriority must be unique"),
        (
            {"rules": [rule(ANY), rule(TAGGED, rulePriority=2)]},
            "rules: a rule for any image must have the highest rulePriority",
        ),
        ({"rules": [rule(unheard=1)]}, "rules.0.unheard: Extra inputs are not permitted"),
        ({"rules": [rule(action={"type": "keep"})]}, "rules.0.action: Input tag 'keep'"),
        (
            {"rules": [rule(action={"type": "expire", "targetStorageClass": None})]},
            "rules.0.action.expire.targetStorageClass: Extra inputs are not permitted",
        ),
        ({"rules": [rule({"countNumber": 0})]}, "rules.0.selection.countNumber: Input should be"),
        ({"rules": [rule({"tagStatus": "tagged"})]}, "rules.0.selection: tagged needs either"),
        ({"rules": [rule({"tagPrefixList": ["v"]})]}, "rules.0.selection: tagged needs either"),
        (
            {"rules": [rule({**TAGGED, "tagPatternList": ["v*"]})]},
            "rules.0.selection: tagged needs either",
        ),
        ({"rules": [rule({"countUnit": "days"})]}, "rules.0.selection: imageCountMoreThan goes"),
        (
            {"rules": [rule({"countType": "sinceImagePushed"})]},
            "rules.0.selection: sinceImagePushed goes",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_lifecycle_policy_of_another_shape_is_rejected(policy: Any, why: str) -> None:
    """An invalid policy is InvalidParameterException with the place and the rule."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    repository = OneRepository()
    code, message = repository.rejected("PutLifecyclePolicy", lifecyclePolicyText=text)
    expected = (
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {why}"
    )

    assert (code, message[: len(expected)]) == ("InvalidParameterException", expected)
    assert repository.rejected("GetLifecyclePolicy")[0] == "LifecyclePolicyNotFoundException"


@pytest.mark.parametrize(
    "statement",
    [
        STATEMENT,
        [STATEMENT, STATEMENT],
        {"Sid": "all", "Effect": "Deny", "NotPrincipal": "*", "NotAction": "ecr:*"},
        {**STATEMENT, "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
    ids=["one", "two", "negated", "condition"],
)
def test_a_repository_policy_of_aws_documentation_is_kept(statement: Any) -> None:
    """A policy is one statement or a list of them, and repeated statements are accepted."""
    text = json.dumps({"Version": "2008-10-17", "Id": "mine", "Statement": statement})
    assert OneRepository().run("SetRepositoryPolicy", policyText=text)["policyText"] == text


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "{",
        [STATEMENT],
        {"Version": "2012-10-17"},
        {"Version": "1999-01-01", "Statement": STATEMENT},
        {"Statement": {"Effect": "Allow"}},
        {"Statement": {**STATEMENT, "Effect": "Perhaps"}},
        {"Statement": {**STATEMENT, "Resource": "*"}},
        {"Statement": {**STATEMENT, "NotAction": "ecr:*"}},
        {"Statement": {**STATEMENT, "Principal": None}},
    ],
    ids=[
        "empty",
        "malformed",
        "list",
        "no statement",
        "version",
        "effect alone",
        "unknown effect",
        "resource",
        "both actions",
        "no principal",
    ],
)
def test_a_repository_policy_of_another_shape_is_rejected(policy: Any) -> None:
    """An invalid policy is InvalidParameterException in the words of ECR."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    assert OneRepository().rejected("SetRepositoryPolicy", policyText=text) == (
        "InvalidParameterException",
        (
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
            "'Invalid repository policy provided'"
        ),
    )


# -- the registry and its account


def test_a_registry_has_no_replication() -> None:
    """DescribeRegistry returns the account, and no rule for replication."""
    assert OneRepository().registry.run("DescribeRegistry", {}) == {
        "registryId": ACCOUNT,
        "replicationConfiguration": {"rules": []},
    }


@pytest.mark.parametrize(
    ("name", "default", "value"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", "AWS_NATIVE"),
        ("BLOB_MOUNTING", "DISABLED", "ENABLED"),
        ("REGISTRY_POLICY_SCOPE", "V2", "V1"),
    ],
)
def test_an_account_setting_is_kept(name: str, default: str, value: str) -> None:
    """An account setting has a default until PutAccountSetting changes it."""
    registry = OneRepository().registry
    before = registry.run("GetAccountSetting", {"name": name})
    setting = {"name": name, "value": value}

    assert before == {"name": name, "value": default}
    assert registry.run("PutAccountSetting", setting) == setting
    assert registry.run("GetAccountSetting", {"name": name}) == setting


@pytest.mark.parametrize(
    ("operation", "name", "value", "where", "values"),
    [
        (
            "GetAccountSetting",
            "UNHEARD",
            None,
            "name",
            "BASIC_SCAN_TYPE_VERSION, BLOB_MOUNTING, REGISTRY_POLICY_SCOPE",
        ),
        ("PutAccountSetting", "BLOB_MOUNTING", "ON", "value", "DISABLED, ENABLED"),
    ],
)
def test_an_unknown_account_setting_is_rejected(
    operation: str, name: str, value: str | None, where: str, values: str
) -> None:
    """An unknown name or value is InvalidParameterException, with the known ones (assumed)."""
    given = {} if value is None else {"value": value}
    constraint = f"Member must satisfy enum value set: [{values}]"
    assert OneRepository().rejected(operation, name=name, **given) == (
        "InvalidParameterException",
        f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'",
    )
