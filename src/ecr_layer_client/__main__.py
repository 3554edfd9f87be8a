"""Run `python -m ecr_layer_client`, which is the same as `ecr-layers`."""

from .cli import main

main()
