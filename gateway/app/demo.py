"""What `quickstart` provisions: a demo tenant whose shard captures, with one account."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gateway.app.desk import SYSTEM, OpenedDesk
from gateway.control.paging import PageQuery
from gateway.control.records import RIGHTS
from gateway.faces.cli.freeports import require_free
from gateway.faces.cli.quickstart import (
    DEMO_LOCAL_PART,
    DEMO_TENANT,
    PORTS,
    SERVED,
    Parts,
    Provisioned,
    prepare,
    run_demo,
)
from gateway.system.clock import SystemClock
from gateway.system.config import load
from gateway.system.secrets import MasterKey
from gateway.system.tls import make_certificates

_LABEL = "quickstart"


def quickstart(folder: Path, port_base: int, setup_only: bool, say: Callable[[str], None]) -> int:
    """Prepare `folder`; unless `setup_only`, serve it and send a first message. Gives the exit status.

    Raises CommandFailed, as `prepare` and `run_demo` do, and if a port is taken: before anything is written.
    """
    if not setup_only:
        require_free(folder, (port_base + PORTS[name] for name in SERVED))
    parts = Parts(
        make_certificates=lambda target: make_certificates(target, SystemClock().now()),
        make_master_key=lambda file: _ignore(MasterKey.create(file)),
        provision=provision,
    )
    state = prepare(folder, port_base, parts)
    if setup_only:
        return 0
    return run_demo(state, say)


def provision(config_file: Path) -> Provisioned:
    """Make the demo tenant and its account, or find what an interrupted run left; a fresh app password."""
    desk = OpenedDesk(load(config_file, os.environ))
    try:
        services = desk.services
        tenants = {tenant.name: tenant for tenant in services.tenants.list(SYSTEM)}
        tenant = tenants.get(DEMO_TENANT) or services.tenants.create(SYSTEM, DEMO_TENANT)
        domain = tenant.domains[0]
        shard = tenant.shards[0]
        services.shards.route(SYSTEM, shard, "capture:")
        address = f"{DEMO_LOCAL_PART}@{domain}"
        accounts = {account.address: account for account in services.accounts.list(SYSTEM, tenant=tenant.id)}
        account = accounts.get(address) or services.accounts.create(
            SYSTEM, address, tenant=tenant.id, smtp=True
        )
        for old in services.credentials.list(SYSTEM, account.id):
            services.credentials.revoke(SYSTEM, old.id)
        for known in services.api_keys.list(SYSTEM, PageQuery(filters={"name": _LABEL})).items:
            services.api_keys.revoke(SYSTEM, known.id)
        _, key = services.api_keys.create(SYSTEM, _LABEL, rights=RIGHTS)
        _, password = services.credentials.create(SYSTEM, account.id, label=_LABEL)
        return Provisioned(
            grant_id=account.id,
            tenant_id=tenant.id,
            workspace_id=account.workspace_id,
            address=account.address,
            app_password=password,
            domain=domain,
            shard=shard,
            api_key=key,
        )
    finally:
        desk.close()


def _ignore(_value: object) -> None:
    """The key stays in its file."""
