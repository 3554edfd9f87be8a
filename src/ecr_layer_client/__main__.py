"""`python -m ecr_layer_client`: the same as `ecr-layers`."""

from .cli import main

main()
