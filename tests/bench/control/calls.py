"""Provisioning and lists over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.control.client import Caller, Times
from tests.bench.control.installation import Installation

_ROWS = 500


def provision_tenants(at: Installation, count: int) -> Iterator[tuple[str, str]]:
    """New tenants, each with trial domain, DKIM key, shard, account and app password: alone, then in one call."""
    caller = Caller(at.port, at.key)
    before = at.cpu_ms()
    alone = Times([caller.timed("POST", "/v1/provision", _request(f"Alone {n}"))[0] for n in range(count)])
    cpu = (at.cpu_ms() - before) / count
    yield "provisioning, a new tenant each", f"{alone.per_second:.1f} requests/s, {alone}, CPU {cpu:.0f} ms"

    before = at.cpu_ms()
    rows = [_request("Alone 0", number) for number in range(1, count + 1)]
    again = Times([caller.timed("POST", "/v1/provision", row)[0] for row in rows])
    cpu = (at.cpu_ms() - before) / count
    yield (
        "provisioning, in a tenant there is",
        f"{again.per_second:.1f} requests/s, {again}, CPU {cpu:.0f} ms",
    )

    before = at.cpu_ms()
    rows = [_request(f"Together {number}") for number in range(min(_ROWS, count * 5))]
    seconds, reply = caller.timed("POST", "/v1/provision/batch", {"rows": rows})
    made = sum(row["status"] == "created" for row in reply["items"])
    cpu = (at.cpu_ms() - before) / len(rows)
    yield (
        f"provisioning, {made} new tenants in one call",
        f"{made / seconds:.1f} rows/s, CPU {cpu:.0f} ms a row",
    )


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
    before = at.cpu_ms()
    first = Times([caller.timed("GET", "/v1/accounts?limit=100")[0] for _ in range(count)])
    cpu = (at.cpu_ms() - before) / count
    yield "list of 100 accounts, the first page", f"{first}, CPU {cpu:.1f} ms"
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
