"""A local ECR with the layers and images of Amazon ECR's API, for tests, demos and documentation.

The local ECR needs neither Docker nor an AWS account.

>>> import asyncio, boto3
>>> async def main() -> str:
...     async with LocalECR() as ecr:
...         digest = ecr.put_layer("app", b"a layer")
...         client = boto3.client("ecr", **ecr.client_kwargs)
...         request = {"repositoryName": "app", "layerDigests": [digest]}
...         response = await asyncio.to_thread(client.batch_check_layer_availability, **request)
...         return response["layers"][0]["layerAvailability"]
>>> asyncio.run(main())
'AVAILABLE'
"""

from ._fault_options import FaultOptions
from ._faults import Fault, Faults
from ._local_ecr import ClientKwargs, LocalECR
from ._sample import SampleImage, SampleLayer, sample_images
from ._stats import Stats

__all__ = [
    "ClientKwargs",
    "Fault",
    "FaultOptions",
    "Faults",
    "LocalECR",
    "SampleImage",
    "SampleLayer",
    "Stats",
    "sample_images",
]
