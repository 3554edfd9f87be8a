"""Programs of other people, with nothing of the user's own AWS configuration."""

from local.conftest import _no_aws_settings

__all__ = ["_no_aws_settings"]
