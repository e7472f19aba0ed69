"""How much accepted mail may wait in memory: bounded in octets, and for each tenant."""

from __future__ import annotations

MESSAGE_OVERHEAD_OCTETS = 4096
"""What a waiting message costs beside its own octets (rows, addresses, signatures)."""

TOTAL_OCTETS = 32 * 1024 * 1024
TENANT_OCTETS = 16 * 1024 * 1024


class Budget:
    """Octets of memory, in all and for each tenant. What does not fit waits in the database."""

    def __init__(self, total_octets: int = TOTAL_OCTETS, tenant_octets: int = TENANT_OCTETS) -> None:
        self._total_octets = total_octets
        self._tenant_octets = tenant_octets
        self._used = 0
        self._by_tenant: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Octets reserved by all tenants."""
        return self._used

    def reserve(self, tenant: str, octets: int) -> bool:
        """Take room for a message of `octets`; False if it does not fit and has to wait on disk.

        A tenant gets at most its own bound, and at most what is left to others, so that no
        tenant's burst can take the last room.
        """
        wanted = octets + MESSAGE_OVERHEAD_OCTETS
        mine = self._by_tenant.get(tenant, 0) + wanted
        if mine > self._tenant_octets or self._used + wanted > self._total_octets:
            return False
        if mine > self._total_octets - self._used:
            return False
        self._used += wanted
        self._by_tenant[tenant] = mine
        return True

    def release(self, tenant: str, octets: int) -> None:
        """Give back what `reserve` took for a message of `octets`."""
        given = octets + MESSAGE_OVERHEAD_OCTETS
        left = self._by_tenant.get(tenant, 0) - given
        self._used = max(0, self._used - given)
        if left > 0:
            self._by_tenant[tenant] = left
        else:
            self._by_tenant.pop(tenant, None)
