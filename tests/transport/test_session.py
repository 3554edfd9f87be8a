"""What a session of the library's own reads of botocore's data: what botocore would, of ECR alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from ecr_layer_client._transport.session import _loader, own_session

if TYPE_CHECKING:
    from pathlib import Path

OWN, BOTOCORES = _loader(None), create_loader()


@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
def test_model(kind: str) -> None:
    """ECR's model is botocore's."""
    assert OWN.load_service_model("ecr", kind) == BOTOCORES.load_service_model("ecr", kind)


@pytest.mark.parametrize("name", ["partitions", "sdk-default-configuration", "_retry"])
def test_data(name: str) -> None:
    """What is of no service is botocore's."""
    assert OWN.load_data(name) == BOTOCORES.load_data(name)


def test_endpoints() -> None:
    """ECR's endpoints are botocore's, in each Region of each partition.

    No other service's are kept.
    """
    own, botocores = (
        EndpointResolver(loader.load_data("endpoints")) for loader in (OWN, BOTOCORES)
    )
    regions = [
        (region, part)
        for part in own.get_available_partitions()
        # Botocore's.
        for region in own.get_available_endpoints("api.ecr", part, True)  # noqa: FBT003
    ]
    assert len(regions) > 40
    for region, partition in regions:
        assert own.construct_endpoint("api.ecr", region, partition) == botocores.construct_endpoint(
            "api.ecr", region, partition
        )
    assert {
        name for each in OWN.load_data("endpoints")["partitions"] for name in each["services"]
    } == {"api.ecr"}


def test_no_such_service() -> None:
    """A service that botocore does not know is refused as botocore does."""
    with pytest.raises(UnknownServiceError):
        OWN.load_service_model("no-such-service", "service-2")


def test_no_such_data() -> None:
    """Data that is not there is refused as botocore does."""
    with pytest.raises(DataNotFoundError):
        OWN.load_data("no-such-data")


def test_data_path(tmp_path: Path) -> None:
    """A model in a folder of the user's own (`AWS_DATA_PATH`) comes before botocore's."""
    folder = tmp_path / "ecr" / "2099-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"metadata": {"apiVersion": "2099-01-01"}}')
    assert _loader(str(tmp_path)).load_service_model("ecr", "service-2") == {
        "metadata": {"apiVersion": "2099-01-01"}
    }


@pytest.mark.asyncio
async def test_a_session_ends_with_its_last_client() -> None:
    """Clients that are open at a time share a session and its keys.

    One that is opened after them reads files and variables anew.
    """
    async with own_session(None) as one:
        async with own_session(None) as two:
            pass
        async with own_session(None) as three:
            assert (two is one, three is one) == (True, True)
    async with own_session(None) as four:
        assert four is not one
