"""Provisioning: one request or many, each in one transaction, slow things made before it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.control.credentials.service import NewPassword
from gateway.control.errors import Invalid, ServiceError
from gateway.control.keys.material import KeyMaterial
from gateway.control.keys.ready import ReadyKeys
from gateway.control.provisioning.look import Look, look
from gateway.control.provisioning.steps import Steps
from gateway.control.provisioning.values import Provisioned, ProvisionedRow, ProvisionRequest
from gateway.control.records import Actor
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.control.services import ControlServices

LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is slow to make: DKIM keys for new domains, and the hash of the password."""

    keys: tuple[KeyMaterial, ...]
    password: NewPassword | None


class ProvisioningService:
    """Makes working identities. Repeating a request with the same `client_id` changes nothing."""

    def __init__(self, services: ControlServices) -> None:
        self._services = services

    def provision(self, actor: Actor, request: ProvisionRequest) -> Provisioned:
        """Make an account with all it needs to send: tenant, domains, keys, shards, app password.

        What is there is used as it is. With the `client_id` of an account that the tenant has, that account
        is returned unchanged, without a password. Raises Invalid, NotFound, Conflict, Forbidden.
        """
        _refuse_useless(request)
        with self._services.writes.view() as session:
            seen = look(session, actor, request)
        return self._run(actor, request, self._prepare(request, seen, len(seen.domains)))

    def provision_batch(
        self, actor: Actor, requests: Sequence[ProvisionRequest]
    ) -> tuple[ProvisionedRow, ...]:
        """At most 500 requests, each a transaction of its own, in their order; a failed one stops nobody.

        Each is done once: an account is known again by its `client_id`, or without one by its address. A call
        that broke off is simply repeated. Where the database goes away after some rows are done, the rest is
        failed: passwords were made. Raises Invalid (too many), DatabaseAway (nothing is done).
        """
        if len(requests) > LARGEST_BATCH:
            raise Invalid(
                "batch-too-large",
                f"{len(requests)} rows are too many for one call.",
                f"Send {LARGEST_BATCH} at most in each.",
            )
        # An Idempotency-Key stands for one transaction; rows are known by their client_id.
        each = replace(actor, conditions=None)
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="provision") as pool:
            jobs = list(self._begin(pool, each, requests))
            return tuple(self._rows(each, requests, jobs))

    def _rows(
        self,
        actor: Actor,
        requests: Sequence[ProvisionRequest],
        jobs: Sequence[Future[_Prepared] | ServiceError],
    ) -> Iterator[ProvisionedRow]:
        """What becomes of each row; none is tried once the database is away."""
        is_away = False
        for row, (request, job) in enumerate(zip(requests, jobs, strict=True)):
            try:
                if not is_away:
                    yield self._row(actor, row, request, job)
                    continue
            except DatabaseAway:
                if row == 0:
                    raise
                is_away = True
            yield ProvisionedRow.refused(row, request.account.client_id, _away())

    def _begin(
        self, pool: ThreadPoolExecutor, actor: Actor, requests: Sequence[ProvisionRequest]
    ) -> Iterator[Future[_Prepared] | ServiceError]:
        """Let threads make what each row will need, once for rows of the same new tenant or domain."""
        coming: set[tuple[str, str]] = set()
        with self._services.writes.view() as session:
            for request in requests:
                try:
                    _refuse_useless(request)
                    seen = look(session, actor, request, by_address=True)
                except ServiceError as error:
                    yield error
                    continue
                names = {(request.tenant.name or request.tenant.client_id or "", one) for one in seen.domains}
                fresh = names - coming
                coming |= fresh
                yield pool.submit(self._prepare, request, seen, len(fresh))

    def _row(
        self, actor: Actor, row: int, request: ProvisionRequest, job: Future[_Prepared] | ServiceError
    ) -> ProvisionedRow:
        client_id = request.account.client_id
        try:
            if isinstance(job, ServiceError):
                raise job
            result = self._run(actor, request, job.result(), by_address=True)
        except ServiceError as error:
            return ProvisionedRow.refused(row, client_id, error)
        return ProvisionedRow.done(row, client_id, result)

    def _prepare(self, request: ProvisionRequest, seen: Look, keys: int) -> _Prepared:
        if seen.account_id is not None:
            return _Prepared((), None)
        made = tuple(self._services.keys.make() for _ in range(keys))
        if request.app_password is False:
            return _Prepared(made, None)
        chosen = request.app_password if isinstance(request.app_password, str) else None
        return _Prepared(made, self._services.credentials.prepare(chosen))

    def _run(
        self, actor: Actor, request: ProvisionRequest, prepared: _Prepared, *, by_address: bool = False
    ) -> Provisioned:
        ready = ReadyKeys(prepared.keys, self._services.keys.make)
        with self._services.writes.change(actor) as change:
            steps = Steps(self._services.within(change, make_key=ready), change, actor)
            return steps.run(request, prepared.password, by_address=by_address)


def _away() -> ServiceError:
    return ServiceError(
        "database-away",
        "The database could not be reached.",
        "Repeat the call when it is back: what is done is not done twice.",
    )


def _refuse_useless(request: ProvisionRequest) -> None:
    """A password that no protocol takes. Raises Invalid."""
    if request.app_password is not False and not (request.smtp or request.imap):
        raise Invalid(
            "no-protocol-on",
            "An app password was asked for, but no protocol is switched on.",
            "Send protocols with smtp or imap true (`--smtp`; in a file smtp: yes), or no app_password.",
        )
