"""`ecr-layers doctor`, run in this process, in environments that are wrong in one way."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import CredentialRetrievalError

from ecr_layer_client._transport.client_errors import credentials_error
from ecr_layer_client.cli import aws_configuration, diagnosis
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]
    Doctor = Callable[..., dict[str, Any]]

PARTS = [
    "versions",
    "configuration",
    "region",
    "credentials",
    "endpoint",
    "clock",
    "check",
    "quota",
]
SECRET = "local-ecr-secret-key"  # noqa: S105 (the local ECR's)


@pytest.fixture
def own() -> Generator[LocalECR]:
    """Return a local ECR that one test may break, and that has only the repository `team/app`."""
    with LocalECR() as local:
        local.create_repository("team/app")
        yield local


@pytest.fixture
def doctor(
    run: Run, own: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Return a function that runs the doctor against `own`, and returns its findings by part.

    The exit code is under `code`.
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", own.endpoint_url)

    def doctor(*arguments: str) -> dict[str, Any]:
        ran = run("doctor", *arguments, "--json")
        assert (ran.stderr, SECRET in ran.stdout) == ("", False)
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [(line["part"], list(line)) for line in lines] == [
            (part, ["part", "status", "found", "to_do"]) for part in PARTS
        ]
        return {line["part"]: line for line in lines} | {"code": ran.returncode}

    return doctor


def statuses(found: dict[str, Any]) -> dict[str, str]:
    """Return the parts that are not ok, each with its status."""
    return {part: found[part]["status"] for part in PARTS if found[part]["status"] != "ok"}


def test_all_is_well(doctor: Doctor) -> None:
    """If a check works, each part is ok, there is no advice, and the exit code is 0."""
    found = doctor("team/app")
    assert (statuses(found), {found[part]["to_do"] for part in PARTS}, found["code"]) == (
        {},
        {None},
        0,
    )


def test_without_a_repository_no_permission_is_checked(doctor: Doctor, own: LocalECR) -> None:
    """Without a repository, the check is skipped with advice, and one unsigned request is sent."""
    found = doctor()
    to_do = "name a repository to send one harmless request: ecr-layers doctor REPOSITORY"
    assert (statuses(found), found["check"]["to_do"], found["code"], own.stats.requests) == (
        {"check": "skip"},
        to_do,
        0,
        1,
    )


def test_a_botocore_that_does_not_fit(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A botocore that aiobotocore does not accept is a warning, with a command that repairs it."""
    requirements = ["aiohttp>=3", "botocore<1.43,>=1.42"]
    monkeypatch.setattr(diagnosis, "requires", {"aiobotocore": requirements}.get)
    found = doctor("team/app")
    assert (statuses(found), found["versions"]["to_do"], found["code"]) == (
        {"versions": "warn"},
        "run pip install ecr-layer-client boto3, which finds versions that fit",
        1,
    )
    assert found["versions"]["found"].endswith("; aiobotocore requires botocore<1.43,>=1.42")


def test_what_is_found_is_named(doctor: Doctor, own: LocalECR) -> None:
    """Region, key, endpoint and clock are named, each with its source."""
    found = doctor("team/app")
    assert found["region"]["found"] == "us-east-1, from AWS_DEFAULT_REGION"
    assert (
        found["credentials"]["found"]
        == "loca...-key, from the environment's AWS_ACCESS_KEY_ID; without expiration"
    )

    assert found["endpoint"]["found"].startswith(
        f"{own.endpoint_url}, from AWS_ENDPOINT_URL_ECR; no TLS; no proxy; responded in "
    )

    assert found["clock"]["found"] == "agrees with the endpoint's"
    assert re.fullmatch(
        "BatchCheckLayerAvailability on 'team/app' is allowed; one digest took [0-9]+ ms",
        found["check"]["found"],
    )
    assert (
        found["quota"]["found"]
        == "at most 800 requests per second, 80% of ECR's default of 1000; nothing was throttled"
    )


def test_a_denied_check(doctor: Doctor, own: LocalECR) -> None:
    """A missing permission is named, with the IAM action and the resource."""
    own.faults.add(error="AccessDeniedException")
    found = doctor("team/app")
    expected = (
        "allow the IAM action ecr:BatchCheckLayerAvailability "
        "on arn:aws:ecr:us-east-1:*:repository/team/app"
    )
    assert (statuses(found), found["check"]["to_do"], found["code"]) == (
        {"check": "fail"},
        expected,
        2,
    )


def test_an_unknown_repository(doctor: Doctor) -> None:
    """An unknown repository is reported with the registry and the Region that were searched."""
    found = doctor("team/none")
    where = "ECR looked in the registry of your own account, Region us-east-1"
    assert (statuses(found), found["check"]["found"].endswith(where), found["code"]) == (
        {"check": "fail"},
        True,
        2,
    )


def test_no_answer(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint at which nothing listens fails, and the parts that need it are skipped."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{reserved.getsockname()[1]}")
        found = doctor("team/app")
    assert (statuses(found), found["code"]) == (
        {"endpoint": "fail", "clock": "skip", "check": "skip"},
        2,
    )


def test_an_endpoint_that_hangs(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that accepts connections and never responds fails after a timeout."""
    monkeypatch.setattr(aws_configuration, "READ_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(aws_configuration, "CONNECT_TIMEOUT_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        found = doctor("team/app")
    assert (statuses(found), "no response: 'none within 0.5 s'" in found["endpoint"]["found"]) == (
        {"endpoint": "fail", "clock": "skip", "check": "skip"},
        True,
    )


def test_a_slow_response(doctor: Doctor, own: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that arrives byte by byte, each in time, fails after a timeout."""
    monkeypatch.setattr(aws_configuration, "READ_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(aws_configuration, "CONNECT_TIMEOUT_SECONDS", 0.4)
    own.faults.add(drip=20)
    found = doctor()
    assert (statuses(found)["endpoint"], "none within 0.9 s" in found["endpoint"]["found"]) == (
        "fail",
        True,
    )


class _Page(BaseHTTPRequestHandler):
    """A sign-in page, as the network of a hotel puts it in place of every page."""

    def do_POST(self) -> None:
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<html>sign in</html>")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's)
        """Log nothing."""


def test_a_response_that_is_not_ecrs(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response without a request id is not ECR's, and is a warning."""
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{server.server_port}")
        found = doctor()
        server.shutdown()
    assert (statuses(found), found["code"]) == ({"endpoint": "warn", "check": "skip"}, 1)


def test_no_tls_where_it_is_asked_for(
    doctor: Doctor, own: LocalECR, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An https endpoint without TLS fails, with the trusted certificates and advice on them."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", own.endpoint_url.replace("http:", "https:"))
    plain = doctor()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own.pem"))
    own_bundle = doctor()

    assert (
        "TLS with botocore's certificates" in plain["endpoint"]["found"],
        "AWS_CA_BUNDLE" in plain["endpoint"]["to_do"],
    ) == (True, True)

    assert (
        f"TLS with the certificates in {tmp_path}/own.pem" in own_bundle["endpoint"]["found"],
        statuses(own_bundle)["endpoint"],
    ) == (
        True,
        "fail",
    )


def test_a_proxy_is_named_without_its_password(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is named without its password, and if it fails, HTTPS_PROXY is the advice."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://me:hidden-word@127.0.0.1:{port}")
        found = doctor()

    endpoint = found["endpoint"]
    said = (
        f"through the proxy 127.0.0.1:{port};" in endpoint["found"],
        "hidden-word" in json.dumps(found),
        "HTTPS_PROXY" in endpoint["to_do"],
    )
    assert (endpoint["status"], said) == ("fail", (True, False, True))


def test_an_empty_region(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Region variable that is set but empty fails, and is named."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    found = doctor()
    assert (found["region"]["status"], found["region"]["found"], found["code"]) == (
        "fail",
        (
            "none: AWS_DEFAULT_REGION is empty "
            "(AWS_REGION is 'us-east-1', but botocore does not read it)"
        ),
        2,
    )


def test_a_redirect_is_not_followed(doctor: Doctor, own: LocalECR) -> None:
    """A redirect is not followed and is not ECR's response, so that sign-in pages are detected."""
    own.faults.add(redirect_to="http://127.0.0.1:1/")
    assert doctor()["endpoint"]["status"] == "warn"


def test_certificates_that_are_not_there(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file of AWS_CA_BUNDLE is missing, the advice names the variable."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    endpoint = doctor("--endpoint-url", "https://127.0.0.1:1")["endpoint"]
    assert (endpoint["status"], "AWS_CA_BUNDLE" in endpoint["to_do"]) == ("fail", True)


def test_an_endpoint_is_named_without_its_password(
    doctor: Doctor, own: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint with a password fails, is shown without it, and has advice to remove it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", own.endpoint_url.replace("//", "//me:hidden-word@"))
    found = doctor()
    assert (
        found["endpoint"]["status"],
        "hidden-word" in json.dumps(found),
        "user name and password" in found["endpoint"]["to_do"],
    ) == (
        "fail",
        False,
        True,
    )


@pytest.mark.parametrize(
    ("url", "is_configured"),
    [
        ("https://api.ecr.eusc-de-east-1.amazonaws.eu", False),
        ("https://api.ecr.us-iso-east-1.c2s.ic.gov", False),
        ("https://api.ecr.cn-north-1.amazonaws.com.cn", False),
        ("https://ecr.eu-west-1.api.aws", False),
        ("https://ecr.example", True),
    ],
)
def test_an_endpoint_in_a_partitions_own_domain(url: str, is_configured: bool) -> None:
    """An endpoint in any partition's own domain is the Region's, not a configured one."""
    assert (
        "configuration" in aws_configuration.AWSConfiguration(None)._origin(url, None)
    ) == is_configured


def test_plain_http_beyond_this_machine(
    doctor: Doctor, own: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http to another machine is a warning, unless it is allowed."""
    port = own.endpoint_url.rpartition(":")[2]
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://0.0.0.0:{port}")
    found = doctor()
    allowed = doctor("--allow-insecure-endpoint")
    assert (statuses(found)["endpoint"], statuses(allowed)) == ("warn", {"check": "skip"})


def test_no_region(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Region, the parts that need one are skipped, and an unread variable is named."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    found = doctor("team/app")
    monkeypatch.delenv("AWS_REGION")
    bare = doctor("team/app")
    skipped = {"region": "fail", "endpoint": "skip", "clock": "skip", "check": "skip"}
    assert (statuses(found), found["region"]["found"]) == (
        skipped,
        "none (AWS_REGION is 'us-east-1', but botocore does not read it)",
    )
    assert (statuses(bare), bare["region"]["found"]) == (skipped, "none")


@pytest.mark.parametrize(
    ("arguments", "source"),
    [([], "AWS_DEFAULT_REGION"), (["--region", "eu-wst-1"], "--region")],
    ids=["variable", "option"],
)
def test_an_unknown_region(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, arguments: list[str], source: str
) -> None:
    """A Region that botocore does not know fails, and no request is sent."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_ECR")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-wst-1")
    found = doctor("team/app", *arguments)
    assert found["region"] == {
        "part": "region",
        "status": "fail",
        "found": (
            "botocore does not know the AWS Region 'eu-wst-1' (did you mean 'eu-west-1'?), "
            f"from {source}"
        ),
        "to_do": (
            "check --region, AWS_DEFAULT_REGION and the profile's region; "
            "if the Region is new, update botocore, or pass --endpoint-url"
        ),
    }
    skipped = dict.fromkeys(("endpoint", "clock", "check"), "skip")
    assert (statuses(found), found["code"]) == ({"region": "fail"} | skipped, 2)


def test_a_malformed_region(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is not the name of a Region fails as a Region."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_ECR")
    assert statuses(doctor("--region", "eu west"))["region"] == "fail"


def test_an_unknown_region_with_an_endpoint(
    doctor: Doctor, own: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Region that botocore does not know is fine if an endpoint is given, by any means."""
    by_variable = doctor("--region", "eu-new-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_ECR")
    by_option = doctor("--region", "eu-new-1", "--endpoint-url", own.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", "no URL")
    malformed = doctor("--region", "eu-new-1")
    found = [statuses(each).get("region") for each in (by_variable, by_option, malformed)]
    assert found == [None] * 3


def test_another_region_than_the_endpoints(doctor: Doctor) -> None:
    """If the Region is not the endpoint's, the advice is to check both, not to try again."""
    found = doctor("team/app", "--region", "eu-west-1")
    to_do = (
        "check that the endpoint (from --endpoint-url, AWS_ENDPOINT_URL_ECR or the AWS "
        "configuration) is one of this Region"
    )
    assert (statuses(found), found["check"]["to_do"]) == ({"check": "fail"}, to_do)


@pytest.mark.parametrize("source", ["AWS_DEFAULT_REGION", "the configuration file"])
def test_an_aws_region_that_is_not_read(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """An AWS_REGION that differs from the variable or the profile is a warning."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    if source != "AWS_DEFAULT_REGION":
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        (tmp_path / "config").write_text("[default]\nregion = us-east-1\n")
    assert doctor("team/app")["region"] == {
        "part": "region",
        "status": "warn",
        "found": (
            f"us-east-1, from {source} (AWS_REGION is 'eu-west-1', but botocore does not read it)"
        ),
        "to_do": "set AWS_DEFAULT_REGION and AWS_REGION to the same Region",
    }


def test_an_aws_region_beside_the_option(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS_REGION that differs from --region is named, but is no warning."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    region = doctor("team/app", "--region", "us-east-1")["region"]
    note = "(AWS_REGION is 'eu-west-1', but botocore does not read it)"
    assert (region["status"], region["found"]) == ("ok", f"us-east-1, from --region {note}")


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        (["team/app", "--region", "us-east-1"], "--region"),
        (["123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"], "the repository"),
        (["team/app", "--profile", "ci"], "the configuration file"),
    ],
    ids=["option", "repository", "file"],
)
def test_where_the_region_comes_from(
    doctor: Doctor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    source: str,
) -> None:
    """The Region is shown with its source."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    keys = f"aws_access_key_id = local-ecr-access-key\naws_secret_access_key = {SECRET}\n"
    (tmp_path / "config").write_text(f"[profile ci]\nregion = us-east-1\n{keys}")
    found = doctor(*arguments)
    assert (found["region"]["found"], statuses(found)) == (f"us-east-1, from {source}", {})


def test_no_credentials(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, the endpoint and the clock are examined all the same."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    found = doctor("team/app")
    assert (statuses(found), found["credentials"]["found"], found["code"]) == (
        {"credentials": "fail", "check": "skip"},
        "none",
        2,
    )


def test_half_of_the_credentials(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key without its secret is reported with botocore's message."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = doctor("team/app")
    assert (
        statuses(found)["credentials"],
        "AWS_SECRET_ACCESS_KEY" in found["credentials"]["found"],
    ) == ("fail", True)


def test_an_expired_token(doctor: Doctor, own: LocalECR) -> None:
    """An expired token is reported with AWS's code, and advice to renew it."""
    own.expire("local-ecr-access-key")
    found = doctor("team/app")
    assert (
        statuses(found),
        "ExpiredToken" in found["check"]["found"],
        found["check"]["to_do"],
    ) == (
        {"check": "fail"},
        True,
        "renew the credentials (`aws sts get-caller-identity` shows whether they work)",
    )


@pytest.mark.parametrize(
    ("minutes", "status", "said"),
    [
        (-5, "fail", "still expired"),
        (5, "warn", "expires within 15 minutes"),
        (300, "ok", "temporary, not renewed"),
    ],
    ids=["over", "soon", "later"],
)
def test_credentials_with_a_known_expiration(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, minutes: int, status: str, said: str
) -> None:
    """If the environment has a token's expiration, the finding says whether it is over or near."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hidden-token")
    monkeypatch.setenv(
        "AWS_CREDENTIAL_EXPIRATION", (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    )
    found = doctor()
    line = found["credentials"]
    assert (line["status"], said in line["found"], "hidden-token" in json.dumps(found)) == (
        status,
        True,
        False,
    )


def test_keys_that_override_a_profile(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keys in the environment that take precedence over AWS_PROFILE are a warning."""
    (tmp_path / "config").write_text("[profile ci]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_PROFILE", "ci")
    found = doctor("team/app")
    assert (
        statuses(found),
        found["credentials"]["found"].endswith(
            "they take precedence over profile 'ci', from AWS_PROFILE"
        ),
    ) == (
        {"credentials": "warn"},
        True,
    )


def test_an_account_is_told_where_the_configuration_tells_it(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account comes from the configuration, without a request."""
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    assert ", account 123456789012;" in doctor()["credentials"]["found"]


def test_a_credential_process_that_fails(doctor: Doctor, tmp_path: Path) -> None:
    """A credential_process that fails is a failure."""
    (tmp_path / "config").write_text(
        "[profile ci]\nregion = us-east-1\ncredential_process = false\n"
    )
    found = doctor("team/app", "--profile", "ci")
    said = "none that can be used: "
    assert (statuses(found), found["credentials"]["found"][: len(said)]) == (
        {"credentials": "fail", "check": "skip"},
        said,
    )


SHORT_TIMEOUT = (
    "from ecr_layer_client.cli import diagnosis, main; "
    "diagnosis._KEYS_TIMEOUT_SECONDS = 0.2; main()"
)


def test_a_credential_process_that_hangs(own: LocalECR, tmp_path: Path) -> None:
    """A credential_process that hangs is a failure after a timeout."""
    config = tmp_path / "hanging"
    config.write_text("[profile ci]\nregion = us-east-1\ncredential_process = sleep 5\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables = kept | {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL_ECR": own.endpoint_url}
    command = [sys.executable, "-c", SHORT_TIMEOUT, "doctor", "--profile", "ci"]

    # aiobotocore leaves the credential_process running, so this runs in a process of its own.
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (
        ran.returncode,
        "fail  credentials    their source did not respond within 0 s" in ran.stdout,
    ) == (2, True)


@pytest.mark.parametrize(
    "config", ["[profile ci]\n", "no section\n"], ids=["no such profile", "no configuration"]
)
def test_a_broken_configuration(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str
) -> None:
    """If the profile or the file can't be read, all later parts are skipped."""
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_PROFILE", "none")
    found = doctor("team/app")
    skipped = dict.fromkeys(PARTS[2:], "skip")
    assert (statuses(found), found["code"]) == ({"configuration": "fail"} | skipped, 2)


def test_a_configuration_with_a_byte_order_mark(doctor: Doctor, tmp_path: Path) -> None:
    """If the file begins with a byte order mark, the advice is about its encoding."""
    (tmp_path / "config").write_text("\ufeff[default]\nregion = eu-west-1\n", encoding="utf-8")
    configuration = doctor()["configuration"]
    assert (configuration["status"], "UTF-8" in configuration["to_do"]) == ("fail", True)


@pytest.mark.parametrize(
    ("skew", "expected", "said"),
    [
        (30.0, {}, "30 s behind the endpoint's"),
        (
            -90.0,
            {"clock": "warn"},
            "90 s ahead of the endpoint's; AWS rejects signatures that are 300 s off",
        ),
        (
            900.0,
            {"clock": "fail", "check": "fail"},
            "900 s behind the endpoint's; AWS rejects signatures that are 300 s off",
        ),
    ],
    ids=["a little", "noted", "refused"],
)
def test_a_clock_that_is_off(
    doctor: Doctor, own: LocalECR, skew: float, expected: dict[str, str], said: str
) -> None:
    """A clock that is off by one minute is a warning, and by five minutes a failure."""
    own.clock_skew = skew
    found = doctor("team/app")

    # The date of a response has whole seconds.
    rounded = re.sub(
        "^([0-9]+)", lambda seconds: str(round(int(seconds[1]), -1)), found["clock"]["found"]
    )
    assert (statuses(found), rounded) == (expected, said)


def test_a_throttled_check(doctor: Doctor, own: LocalECR) -> None:
    """A check that ECR throttled and then answered is ok, and the quota is a warning."""
    own.faults.add(error="ThrottlingException", after=1, times=1)
    found = doctor("team/app")
    assert (
        statuses(found),
        "ECR throttled this check" in found["quota"]["found"],
        found["code"],
    ) == ({"quota": "warn"}, True, 1)


def test_a_check_that_passes_at_the_second_try(doctor: Doctor, own: LocalECR) -> None:
    """A transient error is a warning that names it."""
    own.faults.add(error="ServerException", after=1, times=1)
    found = doctor("team/app")
    assert (statuses(found), "ServerException" in found["check"]["found"]) == (
        {"check": "warn"},
        True,
    )


@pytest.mark.parametrize(
    ("fault", "to_do"),
    [
        ({"error": "ServerException"}, "try again later; the request id helps AWS Support"),
        (
            {"body": b"<html>"},
            "check the endpoint and the proxies: another server may respond instead of ECR",
        ),
        (
            {"error": "KmsException"},
            (
                "follow ECR's message: another attempt gives the same result; "
                "AWS Support can explain more"
            ),
        ),
        ({"latency": 60.0}, "try again; if the line `quota` reports throttling, try later"),
    ],
    ids=["server", "not ECR's", "another", "late"],
)
def test_a_check_that_fails(
    doctor: Doctor,
    own: LocalECR,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    to_do: str,
) -> None:
    """A check that fails has advice, whatever the error."""
    monkeypatch.setattr(diagnosis, "_CHECK_TIMEOUT_SECONDS", 1.0)
    own.faults.add(**fault, after=1)
    found = doctor("team/app")
    assert (statuses(found), found["check"]["to_do"]) == ({"check": "fail"}, to_do)


def test_advice_is_separated_from_botocores_message() -> None:
    """Botocore's message, with its colons, belongs to the finding, not to the advice."""
    found, to_do = diagnosis._split_advice(
        credentials_error(CredentialRetrievalError(provider="custom-process", error_msg="exit: 1"))
    )
    said = "Error when retrieving credentials from custom-process: exit: 1"
    assert (found, to_do[:21]) == (
        f"found no usable AWS credentials; botocore says '{said}'",
        "set AWS_ACCESS_KEY_ID",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Team/App"], "error: 'Team/App' is not a valid ECR repository name: "),
        (
            ["--endpoint-url", "http://a.example"],
            "error: --endpoint-url 'http://a.example' is plain http ",
        ),
        (
            ["123456789012.dkr.ecr.eu-west-1.amazonaws.com/a1", "--region", "us-east-1"],
            "error: --region 'us-east-1' is not the Region of ",
        ),
    ],
    ids=["repository", "endpoint", "other region"],
)
def test_a_wrong_option_is_an_error(run: Run, arguments: list[str], said: str) -> None:
    """A wrong option is an error of one line, before anything is examined."""
    ran = run("doctor", *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr[: len(said)], ran.stderr.count("\n")) == (
        2,
        "",
        said,
        1,
    )


def test_a_line_for_people(run: Run) -> None:
    """Without --json and a terminal, each part is one line, with its status, finding and advice."""
    lines = run("doctor", "team/none").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["fail" if part == "check" else "ok", part] for part in PARTS
    ]
    assert lines[6].endswith(" or create the repository")
