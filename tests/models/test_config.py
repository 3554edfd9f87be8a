"""`ClientConfig`, `RetryPolicy` and `ConnectionOptions`: defaults, rules, and what is said when one is broken."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from pydantic import ValidationError

from ecr_layer_client import (
    AWSKeys,
    ClientConfig,
    ClientConfigChanges,
    ECRLayerClient,
    InvalidInputError,
    RetryPolicy,
)
from ecr_layer_client._transport.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Callable

INF, NAN = float("inf"), float("nan")


def test_defaults() -> None:
    """The defaults are the documented ones."""
    assert ClientConfig().model_dump() == {
        "batch_size": 100,
        "max_concurrency": 10,
        "connect_timeout": 3.0,
        "attempt_timeout": 10.0,
        "max_response_bytes": 4 * 1024 * 1024,
        "requests_per_second": None,
        "coalesce_window": 0.002,
        "transport": "auto",
        "allow_insecure_endpoint": False,
        "retry": {
            "max_attempts": 10,
            "initial_backoff": 0.05,
            "max_backoff": 20.0,
            "max_elapsed": 120.0,
        },
    }


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"max_concurrency": 1},
        {"connect_timeout": 1},
        {"attempt_timeout": 0.001},
        {"max_response_bytes": 1},
        {"requests_per_second": 0.05},
        {"requests_per_second": 10_000},
        {"coalesce_window": 0},
        {"transport": "client"},
        {"allow_insecure_endpoint": True},
        {"retry": RetryPolicy(max_attempts=1)},
    ],
    ids=str,
)
def test_option(options: dict[str, Any]) -> None:
    """An option within its rule is taken, at its bounds too, and the others keep their defaults."""
    assert dict(ClientConfig(**options)) == dict(ClientConfig()) | options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch_size": 0}, "batch_size=0: Input should be greater than or equal to 1"),
        ({"batch_size": 101}, "batch_size=101: Input should be less than or equal to 100"),
        ({"batch_size": True}, "batch_size=True: Input should be a valid integer"),
        ({"batch_size": 7.0}, "batch_size=7.0: Input should be a valid integer"),
        ({"batch_size": "7"}, "batch_size='7': Input should be a valid integer"),
        ({"max_concurrency": 0}, "max_concurrency=0: Input should be greater than or equal to 1"),
        ({"max_concurrency": None}, "max_concurrency=None: Input should be a valid integer"),
        ({"connect_timeout": 0}, "connect_timeout=0: Input should be greater than 0"),
        ({"connect_timeout": "3"}, "connect_timeout='3': Input should be a valid number"),
        ({"attempt_timeout": INF}, "attempt_timeout=inf: Input should be a finite number"),
        ({"attempt_timeout": NAN}, "attempt_timeout=nan: Input should be a finite number"),
        ({"attempt_timeout": None}, "attempt_timeout=None: Input should be a valid number"),
        (
            {"max_response_bytes": 0},
            "max_response_bytes=0: Input should be greater than or equal to 1",
        ),
        ({"requests_per_second": 0}, "requests_per_second=0: Input should be greater than 0"),
        ({"requests_per_second": -1.5}, "requests_per_second=-1.5: Input should be greater than 0"),
        ({"requests_per_second": INF}, "requests_per_second=inf: Input should be a finite number"),
        (
            {"coalesce_window": -0.1},
            "coalesce_window=-0.1: Input should be greater than or equal to 0",
        ),
        ({"transport": "fast"}, "transport='fast': Input should be "),
        (
            {"allow_insecure_endpoint": 1},
            "allow_insecure_endpoint=1: Input should be a valid boolean",
        ),
        ({"retry": None}, "retry=None: Input should be "),
    ],
    ids=str,
)
def test_option_that_breaks_its_rule(options: dict[str, Any], told: str) -> None:
    """A refusal names the option, the value and the rule, and nothing of pydantic's."""
    with pytest.raises(InvalidInputError) as caught:
        ClientConfig(**options)
    assert str(caught.value).startswith(f"ClientConfig {told}")
    assert (
        caught.value.__cause__,
        caught.value.__suppress_context__,
        "\n" in str(caught.value),
    ) == (None, True, False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"max_attempts": 0},
            "RetryPolicy max_attempts=0: Input should be greater than or equal to 1",
        ),
        ({"initial_backoff": 0}, "RetryPolicy initial_backoff=0: Input should be greater than 0"),
        ({"max_backoff": NAN}, "RetryPolicy max_backoff=nan: Input should be a finite number"),
        ({"max_elapsed": "1"}, "RetryPolicy max_elapsed='1': Input should be a valid number"),
        (
            {"initial_backoff": 30},
            "RetryPolicy: initial_backoff=30.0 is longer than max_backoff=20.0",
        ),
    ],
    ids=str,
)
def test_retry_option_that_breaks_its_rule(options: dict[str, Any], told: str) -> None:
    """A refusal of the retry policy names the option, the value and the rule."""
    with pytest.raises(InvalidInputError) as caught:
        RetryPolicy(**options)
    assert str(caught.value) == told


def test_equal_backoffs() -> None:
    """The first bound of a wait may be the longest."""
    assert RetryPolicy(initial_backoff=20.0, max_backoff=20.0).initial_backoff == 20.0


@pytest.mark.parametrize("cls", [ClientConfig, RetryPolicy], ids=lambda cls: cls.__name__)
def test_unknown_option(cls: type[ClientConfig | RetryPolicy]) -> None:
    """An unknown option is refused with the list of those there are."""
    options: dict[str, Any] = {"max_retries": 3}
    with pytest.raises(InvalidInputError) as caught:
        cls(**options)
    assert (
        str(caught.value)
        == f"{cls.__name__} has no option 'max_retries': it has {', '.join(cls.model_fields)}"
    )


def test_message_is_bounded() -> None:
    """A value of 10 kB with newlines makes a message of one bounded line."""
    options: dict[str, Any] = {"transport": "\n" * 10_000}
    with pytest.raises(InvalidInputError) as caught:
        ClientConfig(**options)
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)


def test_replace() -> None:
    """A copy has the changes and keeps the rest; the first is not touched."""
    first = ClientConfig(batch_size=7, retry=RetryPolicy(max_attempts=2))
    assert (first.replace({"max_concurrency": 5}), first) == (
        ClientConfig(batch_size=7, max_concurrency=5, retry=RetryPolicy(max_attempts=2)),
        ClientConfig(batch_size=7, retry=RetryPolicy(max_attempts=2)),
    )


def test_replace_checks() -> None:
    """A change is checked as a new value is."""
    with pytest.raises(InvalidInputError, match=r"^ClientConfig batch_size=0: "):
        ClientConfig().replace({"batch_size": 0})


def test_changes_are_the_options() -> None:
    """What `with_config` takes is exactly what the configuration has, of the same types."""
    hints = get_type_hints(ClientConfig)
    assert get_type_hints(ClientConfigChanges) == {
        name: hints[name] for name in ClientConfig.model_fields
    }


def test_config_is_a_value() -> None:
    """Equal options make equal configurations, of one hash, pickled or not."""
    config = ClientConfig(batch_size=7)
    assert len({config, ClientConfig(batch_size=7), pickle.loads(pickle.dumps(config))}) == 1


def test_config_can_not_be_changed() -> None:
    """A configuration is immutable."""
    option = "batch_size"
    with pytest.raises(ValidationError, match="frozen"):
        setattr(ClientConfig(), option, 7)


@pytest.mark.parametrize(
    "endpoint_url",
    [
        "https://api.ecr.eu-west-1.amazonaws.com",
        "https://vpce-1.api.ecr.eu-west-1.vpce.amazonaws.com:443/",
        "https://proxy.example/ecr",
        "http://127.0.0.1:4566",
        "http://127.0.0.2",
        "http://[::1]:4566",
        "http://localhost:4566",
        "http://LOCALHOST:4566",
        "http://ecr.localhost:4566",
        None,
    ],
    ids=str,
)
def test_endpoint(endpoint_url: str | None) -> None:
    """An endpoint is https, or this machine."""
    ConnectionOptions(endpoint_url=endpoint_url).check(allow_insecure_endpoint=False)


@pytest.mark.parametrize(
    "endpoint_url",
    [
        "http://ecr.example",
        "http://10.0.0.1:4566",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0:4566",
    ],
)
def test_plain_http_beyond_this_machine(endpoint_url: str) -> None:
    """Plain http beyond this machine is refused with both ways out."""
    with pytest.raises(InvalidInputError) as caught:
        ConnectionOptions(endpoint_url=endpoint_url).check(allow_insecure_endpoint=False)
    assert str(caught.value) == (
        f"endpoint_url='{endpoint_url}' is plain http to another machine: "
        "use https, or ClientConfig(allow_insecure_endpoint=True) if you trust the network"
    )


def test_plain_http_where_it_is_allowed() -> None:
    """Plain http beyond this machine is taken where the configuration allows it."""
    ConnectionOptions(endpoint_url="http://ecr.example").check(allow_insecure_endpoint=True)


@pytest.mark.parametrize(
    "endpoint_url",
    [
        "ecr.example",
        "//ecr.example",
        "ftp://ecr.example",
        "https://",
        "https:///path",
        "https://ecr.example/?a=b",
        "https://ecr.example/#a",
        "http://[::1",
        "http://ecr.example:99999",
        "http://ecr.example:http",
    ],
)
@pytest.mark.parametrize(
    "allow_insecure_endpoint", [False, True], ids=["strict", "insecure allowed"]
)
def test_what_is_no_endpoint(endpoint_url: str, *, allow_insecure_endpoint: bool) -> None:
    """What is no plain URL of a host is refused, whatever is allowed."""
    with pytest.raises(InvalidInputError, match=r"^endpoint_url"):
        ConnectionOptions(endpoint_url=endpoint_url).check(
            allow_insecure_endpoint=allow_insecure_endpoint
        )


@pytest.mark.parametrize(
    "endpoint_url",
    [
        pytest.param("https://user:s3cret@ecr.example", id="user and password"),
        pytest.param("https://:s3cret@ecr.example", id="password alone"),
        pytest.param("https://s3cret@ecr.example", id="user alone"),
        pytest.param("https://user:s3cret@ecr\u2100.example", id="in a host that is no host"),
        pytest.param("https:user:s3cret@ecr.example", id="without slashes"),
        pytest.param("ftp://user:s3cret@ecr.example", id="of another scheme"),
        pytest.param("https://user:s3cret", id="in place of a port"),
        pytest.param("https://ecr.example/?X-Amz-Signature=s3cret", id="query string"),
        pytest.param("https://ecr.example/#s3cret", id="fragment"),
    ],
)
def test_refused_endpoint_keeps_its_secret(endpoint_url: str) -> None:
    """The refusal of an endpoint that holds a secret does not repeat it."""
    with pytest.raises(InvalidInputError) as caught:
        ConnectionOptions(endpoint_url=endpoint_url).check(allow_insecure_endpoint=True)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["region_name", "profile_name", "endpoint_url"])
@pytest.mark.parametrize("value", ["", 5, b"x", True], ids=repr)
def test_part_of_target_is_a_str(name: str, value: object) -> None:
    """Region, profile and endpoint are a str that is not empty, or None."""
    parts: dict[str, Any] = {name: value}
    with pytest.raises(InvalidInputError) as caught:
        ConnectionOptions(**parts).check(allow_insecure_endpoint=False)
    shown = "''" if value == "" else f"<{type(value).__name__}>"
    assert str(caught.value) == f"{name}={shown} must be a str that is not empty, or None"


def test_profile_beside_a_session() -> None:
    """A profile beside a session is refused: the session has its own."""
    session: Any = object()
    with pytest.raises(
        InvalidInputError,
        match=r"^profile_name='dev' can't be used with session=: give the profile to the session$",
    ):
        ConnectionOptions(profile_name="dev", session=session).check(allow_insecure_endpoint=False)


def test_target_that_says_nothing() -> None:
    """Nothing said is for botocore's own chain to find."""
    ConnectionOptions().check(allow_insecure_endpoint=False)


class _Secretive:
    def __repr__(self) -> str:
        return "s3cret"


def _refused(make: Callable[..., object], name: str) -> Callable[[Any], object]:
    return lambda wrong: make(**{name: wrong})


@pytest.mark.parametrize(
    "make",
    [
        *(
            pytest.param(_refused(ECRLayerClient, name), id=name)
            for name in (
                "session",
                "observer",
                "config",
                "region_name",
                "profile_name",
                "endpoint_url",
                "credentials",
            )
        ),
        pytest.param(_refused(ECRLayerClient.from_client, "client"), id="from_client"),
        pytest.param(_refused(ClientConfig, "retry"), id="retry"),
        pytest.param(_refused(partial(AWSKeys, "key", "secret"), "expires"), id="expires"),
    ],
)
def test_wrong_type_is_named_and_not_shown(make: Callable[[Any], object]) -> None:
    """A value of a wrong type is refused by its type: what it holds may be secret."""
    with pytest.raises(InvalidInputError) as caught:
        make(_Secretive())
    assert ("_Secretive" in str(caught.value), "s3cret" in str(caught.value)) == (True, False)
