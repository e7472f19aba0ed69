"""Provisioning and lists over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.control.client import Caller, Times
from tests.bench.control.installation import Installation

_ROWS = 500


def provision_tenants(at: Installation, count: int) -> Iterator[tuple[str, str]]:
    """New tenants, each with trial domain, DKIM key, shard, account and app password: alone, then in one call."""
    caller = Caller(at.port, at.key)
    times = [caller.timed("POST", "/v1/provision", _request(f"Alone {n}"))[0] for n in range(count)]
    alone = Times(times)
    yield "provisioning, a new tenant each", f"{alone.per_second:.1f} requests/s, {alone}"
    again = Times(
        [caller.timed("POST", "/v1/provision", _request("Alone 0", n))[0] for n in range(1, count + 1)]
    )
    yield "provisioning, in a tenant there is", f"{again.per_second:.1f} requests/s, {again}"
    rows = min(_ROWS, count * 5)
    requests = [_request(f"Together {n}") for n in range(rows)]
    seconds, reply = caller.timed("POST", "/v1/provision/batch", {"rows": requests})
    made = sum(row["status"] == "created" for row in reply["items"])
    yield f"provisioning, {rows} new tenants in one call", f"{made / seconds:.1f} rows/s ({made} made)"


def _request(tenant: str, number: int = 0) -> dict[str, object]:
    return {
        "tenant": {"name": tenant},
        "account": {"local_part": f"agent{number}"},
        "protocols": {"smtp": True},
        "app_password": True,
    }


def list_accounts(at: Installation, count: int) -> Iterator[tuple[str, str]]:
    """Pages of 100 accounts out of all."""
    caller = Caller(at.port, at.key)
    first = Times([caller.timed("GET", "/v1/accounts?limit=100")[0] for _ in range(count)])
    yield "list of 100 accounts, the first page", str(first)
    seconds, cursor = [], None
    for _ in range(count):
        path = "/v1/accounts?limit=100" + (f"&cursor={cursor}" if cursor else "")
        took, page = caller.timed("GET", path)
        cursor = page["next_cursor"]
        seconds.append(took)
    yield "list of 100 accounts, page after page", str(Times(seconds))
    tenant = f"/v1/accounts?limit=100&sort=address&tenant={page['items'][0]['tenant_id']}"
    of_tenant = Times([caller.timed("GET", tenant)[0] for _ in range(count)])
    yield "list of the accounts of one tenant, by address", str(of_tenant)
