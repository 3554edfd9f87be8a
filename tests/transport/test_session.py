"""Our own session reads the same data as botocore, but only what ECR needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from ecr_layer_client._transport.session import _loader, own_session

if TYPE_CHECKING:
    from pathlib import Path

OWN, BOTOCORE = _loader(None), create_loader()


@pytest.mark.parametrize("service", ["ecr", "ecr-public"])
def test_models(service: str) -> None:
    """The models of ECR and ECR Public are botocore's."""
    for kind in ("service-2", "endpoint-rule-set-1"):
        assert OWN.load_service_model(service, kind) == BOTOCORE.load_service_model(service, kind)


def test_data() -> None:
    """Data that belongs to no service is botocore's."""
    for name in ("partitions", "sdk-default-configuration", "_retry"):
        assert OWN.load_data(name) == BOTOCORE.load_data(name)


@pytest.mark.parametrize(("service", "least"), [("api.ecr", 40), ("api.ecr-public", 2)])
def test_endpoints(service: str, least: int) -> None:
    """The loader has botocore's endpoints of a service in every Region, and of no others."""
    own, botocore = (EndpointResolver(loader.load_data("endpoints")) for loader in (OWN, BOTOCORE))
    places = [
        (service, region, partition)
        for partition in own.get_available_partitions()
        for region in own.get_available_endpoints(service, partition, allow_non_regional=True)
    ]

    assert len(places) >= least
    assert [own.construct_endpoint(*place) for place in places] == [
        botocore.construct_endpoint(*place) for place in places
    ]
    partitions = OWN.load_data("endpoints")["partitions"]
    names = {name for partition in partitions for name in partition["services"]}
    assert names == {"api.ecr", "api.ecr-public"}


def test_unknown_name() -> None:
    """An unknown service and unknown data raise botocore's own exceptions."""
    with pytest.raises(UnknownServiceError):
        OWN.load_service_model("no-such-service", "service-2")
    with pytest.raises(DataNotFoundError):
        OWN.load_data("no-such-data")


def test_data_path(tmp_path: Path) -> None:
    """A model in a directory of the user's (`AWS_DATA_PATH`) comes before botocore's."""
    directory = tmp_path / "ecr" / "2099-01-01"
    directory.mkdir(parents=True)
    (directory / "service-2.json").write_text('{"metadata": {"apiVersion": "2099-01-01"}}')

    model = _loader(str(tmp_path)).load_service_model("ecr", "service-2")
    assert model == {"metadata": {"apiVersion": "2099-01-01"}}


@pytest.mark.asyncio
async def test_a_session_ends_with_its_last_client() -> None:
    """Clients that are open together share a session; a later client has a new one."""
    async with own_session(None) as one:
        async with own_session(None) as two:
            pass
        async with own_session(None) as three:
            assert (two is one, three is one) == (True, True)

    async with own_session(None) as four:
        assert four is not one
