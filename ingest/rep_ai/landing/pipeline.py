"""dlt, set up so that nothing but the ledger decides what counts."""

import os
from collections.abc import Mapping
from typing import Any

NAME = "rep_ai"

_SETTINGS: dict[str, dict[str, Any]] = {
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True}},
    "extract": {"next_item_mode": "fifo"},
    # the files are read at once: compressing them would take longer than it saves
    "data_writer": {"compression": "none"},
    # a retried job may have committed already, and nothing tells its rows apart
    "load": {"raise_on_max_retries": 1},
    "runtime": {"dlthub_telemetry": False, "intercept_signals": False, "log_level": "CRITICAL"},
}


def library(
    folder: str,
    settings: Mapping[str, Mapping[str, Any]],
    configuration: Mapping[str, Any] | None,
) -> Any:
    """The library, set up so that no file or variable of the user can break a promise.

    Args:
        folder: for what dlt writes.
        settings: those that a destination has beside ours, or in their place.
        configuration: what dlt's own variables of the environment may say otherwise; None: they
            are not read.
    """
    # so that a .dlt in the working directory is not even read
    os.environ["DLT_PROJECT_DIR"] = folder
    import dlt
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.providers import CustomLoaderDocProvider, EnvironProvider
    from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    context: Any = Container()[PluggableRunContext]
    # without this dlt writes an id for its telemetry there, though that is off
    context.context._global_dir = folder
    providers: list[Any] = [CustomLoaderDocProvider(NAME, lambda: {**_SETTINGS, **settings})]
    if configuration is not None:
        named = {"destination": configuration}
        providers += [EnvironProvider(), CustomLoaderDocProvider("profile", lambda: named)]
    context.providers = ConfigProvidersContainer(providers)
    context.context.reset_config()
    return dlt
