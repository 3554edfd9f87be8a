"""`python -m ecr_layer_client.cli`: the same as `ecr-layers`."""

from . import main

main()
