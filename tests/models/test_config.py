"""The options of a client: their defaults, their rules, and the message about a broken rule."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from aiobotocore.session import AioSession
from pydantic import ValidationError

from ecr_layer_client import (
    AWSKeys,
    ClientConfig,
    ClientConfigChanges,
    ECRLayerClient,
    InvalidInputError,
    RetryPolicy,
)
from ecr_layer_client._models.quotas import QUOTAS, ceiling_of
from ecr_layer_client._transport.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Callable

INF, NAN = float("inf"), float("nan")
AT_LEAST_1 = "Input should be greater than or equal to 1"
POSITIVE = "Input should be greater than 0"
FINITE = "Input should be a finite number"
AN_INTEGER = "Input should be a valid integer"
A_NUMBER = "Input should be a valid number"


def refusal_of(make: Callable[..., object], **options: Any) -> str:
    """Return the message about options that are refused."""
    with pytest.raises(InvalidInputError) as caught:
        make(**options)
    return str(caught.value)


def check(*, allow_insecure_endpoint: bool = False, **options: Any) -> None:
    """Check the options of a connection."""
    ConnectionOptions(**options).check(allow_insecure_endpoint=allow_insecure_endpoint)


@pytest.mark.parametrize(
    "options",
    [
        *({"batch_size": 1}, {"max_concurrency": 1}, {"connect_timeout": 1}),
        *({"attempt_timeout": 0.001}, {"max_response_bytes": 1}, {"requests_per_second": 0.05}),
        *({"requests_per_second": 10_000}, {"requests_per_second": {"PutImage": 5.0}}),
        *({"coalesce_window": 0}, {"transport": "client"}, {"allow_insecure_endpoint": True}),
        {"retry": RetryPolicy(max_attempts=1, initial_backoff=20.0, max_backoff=20.0)},
    ],
    ids=str,
)
def test_option(options: dict[str, Any]) -> None:
    """An option within its rule is accepted, also at its limits; the others keep defaults."""
    assert dict(ClientConfig(**options)) == dict(ClientConfig()) | options


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("batch_size", 0, AT_LEAST_1),
        ("batch_size", 101, "Input should be less than or equal to 100"),
        *(("batch_size", value, AN_INTEGER) for value in (True, 7.0, "7")),
        ("max_concurrency", 0, AT_LEAST_1),
        ("max_concurrency", None, AN_INTEGER),
        ("connect_timeout", 0, POSITIVE),
        ("connect_timeout", "3", A_NUMBER),
        *(("attempt_timeout", value, FINITE) for value in (INF, NAN)),
        ("attempt_timeout", None, A_NUMBER),
        ("max_response_bytes", 0, AT_LEAST_1),
        *(("requests_per_second", value, POSITIVE) for value in (0, -1.5)),
        ("requests_per_second", INF, FINITE),
        ("coalesce_window", -0.1, "Input should be greater than or equal to 0"),
        ("transport", "fast", "Input should be "),
        ("allow_insecure_endpoint", 1, "Input should be a valid boolean"),
        ("retry", None, "Input should be "),
    ],
    ids=str,
)
def test_option_breaks_its_rule(name: str, value: object, rule: str) -> None:
    """The message names the option, its value and the rule; pydantic's error is not chained."""
    with pytest.raises(InvalidInputError) as caught:
        ClientConfig(**{name: value})  # type: ignore[arg-type]  # any option
    message = str(caught.value)
    assert message.startswith(f"ClientConfig {name}={value!r}: {rule}")
    assert "\n" not in message
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_backoffs_that_contradict_each_other() -> None:
    """The first backoff is not longer than the longest."""
    message = "RetryPolicy: initial_backoff=30.0 is longer than max_backoff=20.0"
    message = f"{message}: lower initial_backoff"
    assert refusal_of(RetryPolicy, initial_backoff=30) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"profile_name": "dev"},
            "profile_name='dev' can't be used with session=: set",
        ),
        ({"credentials": print}, "credentials= can't be used with session=: set those"),
    ],
    ids=["profile", "credentials"],
)
def test_beside_a_session(options: dict[str, Any], message: str) -> None:
    """An option that a session brings itself is refused beside one."""
    assert refusal_of(check, session=AioSession(), **options).startswith(message)


@pytest.mark.parametrize(
    "endpoint_url",
    [
        *("http://ecr.example", "http://10.0.0.1:4566", "http://localhost.example"),
        *("http://127.0.0.1.example", "http://0.0.0.0:4566"),
    ],
)
def test_plain_http_to_another_machine(endpoint_url: str) -> None:
    """Plain http to another machine is refused with both fixes, unless the option allows it."""
    assert refusal_of(ECRLayerClient, endpoint_url=endpoint_url) == (
        f"endpoint_url='{endpoint_url}' is plain http to another machine: "
        "use https, or ClientConfig(allow_insecure_endpoint=True) if you trust the network"
    )
    config = ClientConfig(allow_insecure_endpoint=True)
    assert endpoint_url in repr(ECRLayerClient(endpoint_url=endpoint_url, config=config))


def test_rate_of_an_unknown_operation() -> None:
    """A rate for an unknown operation is refused with the operations that have a quota."""
    message = refusal_of(ClientConfig, requests_per_second={"DeleteImage": 1.0})
    assert "'DeleteImage' is not an operation" in message
    assert ", ".join(QUOTAS) in message


def test_rates_are_a_value() -> None:
    """A mapping of rates is copied, and the configuration stays an immutable value."""
    given = {"PutImage": 5.0, "BatchGetImage": 500.0}
    config = ClientConfig(requests_per_second=given)
    backwards = ClientConfig(requests_per_second=dict(reversed(given.items())))
    assert len({config, backwards, pickle.loads(pickle.dumps(config)), config.replace({})}) == 1

    given["PutImage"] = 6.0
    rates: Any = config.requests_per_second
    assert (len(rates), rates["PutImage"], repr(rates)) == (
        2,
        5.0,
        "{'PutImage': 5.0, 'BatchGetImage': 500.0}",
    )
    assert config.model_dump()["requests_per_second"] == dict(rates)
    with pytest.raises(TypeError, match="item assignment"):
        rates["PutImage"] = 6.0


@pytest.mark.parametrize(
    ("rates", "ceilings"),
    [
        (None, (800.0, 8.0)),
        (7.0, (7.0, 7.0)),
        ({"PutImage": 5.0}, (800.0, 5.0)),
    ],
    ids=["none", "number", "mapping"],
)
def test_ceiling(rates: float | dict[str, float] | None, ceilings: tuple[float, float]) -> None:
    """An operation without a rate of its own gets 80 % of its quota."""
    operations = ("BatchCheckLayerAvailability", "PutImage")
    assert tuple(ceiling_of(operation, rates) for operation in operations) == ceilings


@pytest.mark.parametrize("cls", [ClientConfig, RetryPolicy])
def test_unknown_option(cls: type[ClientConfig | RetryPolicy]) -> None:
    """An unknown option is refused with the list of options."""
    expected = f"has no option 'max_retries': it has {', '.join(cls.model_fields)}"
    assert refusal_of(cls, max_retries=3) == f"{cls.__name__} {expected}"


def test_message_is_bounded() -> None:
    """A value of 10 kB with newlines makes a message of one bounded line."""
    message = refusal_of(ClientConfig, transport="\n" * 10_000)
    assert (len(message) < 500, "\n" in message) == (True, False)


def test_replace() -> None:
    """`replace` returns a copy with checked changes, and leaves the original unchanged."""
    retry = RetryPolicy(max_attempts=2)
    first = ClientConfig(batch_size=7, retry=retry)
    changed = first.replace({"max_concurrency": 5})
    assert changed == ClientConfig(batch_size=7, max_concurrency=5, retry=retry)
    assert first == ClientConfig(batch_size=7, retry=retry)

    message = refusal_of(first.replace, changes={"batch_size": 0})
    assert message.startswith("ClientConfig batch_size=0: ")


def test_changes_are_the_options() -> None:
    """`with_config` takes exactly the options of the configuration, of the same types."""
    hints = get_type_hints(ClientConfig)
    expected = {name: hints[name] for name in ClientConfig.model_fields}
    assert get_type_hints(ClientConfigChanges) == expected


def test_config_is_a_value() -> None:
    """Configurations of equal options are equal, pickled or not, and immutable."""
    config: Any = ClientConfig(batch_size=7)
    assert len({config, ClientConfig(batch_size=7), pickle.loads(pickle.dumps(config))}) == 1
    with pytest.raises(ValidationError, match="frozen"):
        config.batch_size = 8


@pytest.mark.parametrize(
    "endpoint_url",
    [
        *("https://api.ecr.eu-west-1.amazonaws.com", "https://proxy.example/ecr", None),
        "https://vpce-1.api.ecr.eu-west-1.vpce.amazonaws.com:443/",
        *("http://127.0.0.1:4566", "http://127.0.0.2", "http://[::1]:4566"),
        *("http://localhost:4566", "http://LOCALHOST:4566", "http://ecr.localhost:4566"),
    ],
    ids=str,
)
def test_endpoint(endpoint_url: str | None) -> None:
    """An endpoint is https, or plain http to this machine, or botocore's own."""
    check(endpoint_url=endpoint_url)


@pytest.mark.parametrize(
    "endpoint_url",
    [
        *("ecr.example", "//ecr.example", "ftp://ecr.example", "https://", "https:///path"),
        *("https://ecr.example/?a=b", "https://ecr.example/#a", "http://[::1"),
        *("http://ecr.example:99999", "http://ecr.example:http"),
        *("https://user:s3cret@ecr.example", "https://:s3cret@ecr.example"),
        *("https://s3cret@ecr.example", "https://user:s3cret@ecr\u2100.example"),
        *("https:user:s3cret@ecr.example", "ftp://user:s3cret@ecr.example", "https://user:s3cret"),
        *("https://ecr.example/?X-Amz-Signature=s3cret", "https://ecr.example/#s3cret"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("allow_insecure", [False, True], ids=["strict", "insecure allowed"])
def test_endpoint_is_not_valid(endpoint_url: str, *, allow_insecure: bool) -> None:
    """An endpoint that is not the plain URL of a host is refused without repeating a secret."""
    message = refusal_of(check, endpoint_url=endpoint_url, allow_insecure_endpoint=allow_insecure)
    assert (message.startswith("endpoint_url"), "s3cret" in message) == (True, False)


@pytest.mark.parametrize(
    ("host", "scheme"),
    [("localhost:4510", "http"), ("127.0.0.1", "http"), ("ecr.example:8443", "https")],
)
def test_endpoint_without_a_scheme(host: str, scheme: str) -> None:
    """An endpoint without a scheme is refused with the URL to use, which is accepted."""
    assert refusal_of(check, endpoint_url=host) == (
        f"endpoint_url='{host}' has no scheme: use '{scheme}://{host}'"
    )
    check(endpoint_url=f"{scheme}://{host}")


@pytest.mark.parametrize("name", ["region_name", "profile_name", "endpoint_url"])
@pytest.mark.parametrize("value", ["", 5, b"x", True], ids=repr)
def test_connection_option_is_a_str(name: str, value: object) -> None:
    """Region, profile and endpoint are a str that is not empty, or None."""
    shown = "''" if value == "" else f"<{type(value).__name__}>"
    message = f"{name}={shown} must be a str that is not empty, or None"
    assert refusal_of(check, **{name: value}) == message


class _Secretive:
    def __repr__(self) -> str:
        return "s3cret"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((ECRLayerClient, name) for name in ("session", "observer", "config", "region_name")),
        *((ECRLayerClient, name) for name in ("profile_name", "endpoint_url", "credentials")),
        (ECRLayerClient.from_client, "client"),
        (ClientConfig, "retry"),
        (partial(AWSKeys, "key", "secret"), "expires"),
    ],
    ids=str,
)
def test_wrong_type_is_named_and_not_shown(make: Callable[..., object], name: str) -> None:
    """A value of a wrong type is refused by its type, because its repr may have a secret."""
    message = refusal_of(make, **{name: _Secretive()})
    assert ("_Secretive" in message, "s3cret" in message) == (True, False)
