"""An aiobotocore session for one local registry, independent of the user's AWS configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.configprovider import ConfigValueStore, ConstantProvider

from ._aws_model import data_loader

if TYPE_CHECKING:
    from ._in_memory import MemorySession

# These keys are not secret: they open nothing but a registry on this machine.
ACCESS_KEY: Final = "local-ecr-access-key"
SECRET_KEY: Final = "local-ecr-secret-key"  # noqa: S105

# No files are read, and the endpoint is plain HTTP.
_UNSET = {"config_file": None, "credentials_file": None, "ca_bundle": False}


def local_session(region: str, session_class: type[MemorySession] | None = None) -> Any:
    """Return an aiobotocore session with the local keys and Region.

    The session ignores `AWS_*` variables, profiles, configuration files and proxies. Its clients
    send through `session_class` if there is one, else over HTTP. All sessions of a process share
    one data loader.
    """
    session: Any = AioSession()
    session.register_component("data_loader", data_loader())

    defaults = {name: variable[2] for name, variable in session.session_var_map.items()}
    settings = defaults | _UNSET | {"region": region}
    session.register_component(
        "config_store",
        ConfigValueStore({name: ConstantProvider(value) for name, value in settings.items()}),
    )
    session.set_credentials(ACCESS_KEY, SECRET_KEY)

    options: dict[str, Any] = {"proxies": {}}
    if session_class is not None:
        options["http_session_cls"] = session_class
    session.set_default_client_config(AioConfig(**options))
    return session
