"""Lifecycle and repository policies. They are checked for their shape and kept, not evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from ecr_layer_client._text.validation_errors import first_problem

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .state import Row, StoredRepository

MAX_RULES = 50  # ECR service quotas: rules per lifecycle policy
# AWS documentation: the example of DeleteLifecyclePolicy, for a policy that was not run.
NEVER = 0.0


class _Shape(BaseModel, frozen=True, extra="forbid", strict=True, alias_generator=to_camel):
    """An object of a policy. A member with a default may be left out, but must not be null."""


class _Expire(_Shape, frozen=True):
    type: Literal["expire"]


class _Transition(_Shape, frozen=True):
    type: Literal["transition"]
    target_storage_class: Literal["archive"]


class _Selection(_Shape, frozen=True):
    tag_status: Literal["tagged", "untagged", "any"]
    tag_prefix_list: list[str] = []
    tag_pattern_list: list[str] = []
    storage_class: Literal["standard", "archive"] = "standard"
    count_type: Literal[
        "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"
    ]
    count_unit: Literal["days", ""] = ""
    count_number: PositiveInt

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        lists = [each for each in (self.tag_prefix_list, self.tag_pattern_list) if each]
        if len(lists) != (self.tag_status == "tagged"):
            message = "tagged needs either tagPrefixList or tagPatternList, and others none"
            raise ValueError(message)
        if bool(self.count_unit) != self.count_type.startswith("since"):
            message = f"{self.count_type} goes with countUnit only if it begins with since"
            raise ValueError(message)
        return self


class _Rule(_Shape, frozen=True):
    rule_priority: PositiveInt
    description: str = ""
    selection: _Selection
    action: Annotated[_Expire | _Transition, Field(discriminator="type")]


class LifecyclePolicy(_Shape, frozen=True):
    """A lifecycle policy (AWS documentation: lifecycle policy properties)."""

    rules: Annotated[list[_Rule], Field(min_length=1, max_length=MAX_RULES)]

    @model_validator(mode="after")
    def _check_priorities(self) -> Self:
        last_rules = sorted(self.rules, key=lambda rule: rule.rule_priority)[:-1]
        if len({rule.rule_priority for rule in self.rules}) < len(self.rules):
            message = "each rulePriority must be unique"
            raise ValueError(message)
        if any(rule.selection.tag_status == "any" for rule in last_rules):
            message = "a rule for any image must have the highest rulePriority"
            raise ValueError(message)
        return self


class _Statement(_Shape, frozen=True, alias_generator=to_pascal):
    sid: str = ""
    effect: Literal["Allow", "Deny"]
    principal: Any = None
    not_principal: Any = None
    action: str | list[str] = []
    not_action: str | list[str] = []
    condition: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        for one, other in (
            (self.principal, self.not_principal),
            (self.action, self.not_action),
        ):
            if bool(one) == bool(other):
                message = "a statement needs a principal and an action, or NotPrincipal, NotAction"
                raise ValueError(message)
        return self


class RepositoryPolicy(_Shape, frozen=True, alias_generator=to_pascal):
    """A repository policy (AWS documentation: IAM policy elements). It has no Resource."""

    version: Literal["2008-10-17", "2012-10-17"] = "2008-10-17"
    id: str = ""
    statement: _Statement | list[_Statement]


def _check_lifecycle(text: str) -> None:
    # The beginning and the sentence for malformed JSON are quoted in public issues.
    where, failure = "LifecyclePolicyText", "Lifecycle policy validation failure"
    try:
        LifecyclePolicy.model_validate_json(text, by_alias=True)
    except ValidationError as error:
        problem = first_problem(error)
        why = f"{problem.where or 'rules'}: {problem.message}"
        if problem.kind in {"json_invalid", "model_type"} and not problem.where:
            why = "Could not map policyString into LifecyclePolicy."
        raise invalid_parameter(where, f"{failure}: {why}") from None


def _check_repository_policy(text: str) -> None:
    try:
        RepositoryPolicy.model_validate_json(text, by_alias=True)
    except ValidationError:
        # The wording is quoted in public issues.
        where = "PolicyText"
        raise invalid_parameter(where, "Invalid repository policy provided") from None


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of policy, and the operations on it. A repository has at most one of each kind.

    `extra` are further members of the responses to get and delete.
    """

    name: str
    member: str
    check: Callable[[str], None]
    extra: Mapping[str, Any]

    def put(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Set the policy, in place of an earlier one."""
        text: str = request[self.member]
        self.check(text)
        repository.policies[self.name] = text
        return {**repository.identity, self.member: text}

    def get(self, repository: StoredRepository, _request: Mapping[str, Any]) -> Row:
        """Return the policy. Raises AwsError if there is none."""
        text = repository.policies.get(self.name)
        if text is None:
            # The wording is quoted in public issues.
            code = f"{self.name}PolicyNotFoundException"
            raise repository.error(code, f"{self.name} policy does not exist for")
        return {**repository.identity, self.member: text, **self.extra}

    def delete(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Delete the policy and return it. Raises AwsError if there is none."""
        deleted = self.get(repository, request)
        del repository.policies[self.name]
        return deleted


LIFECYCLE = PolicyKind(
    "Lifecycle", "lifecyclePolicyText", _check_lifecycle, {"lastEvaluatedAt": NEVER}
)
REPOSITORY = PolicyKind("Repository", "policyText", _check_repository_policy, {})
