"""`/v1/doctor`: the whole installation, looked at from outside in."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.control.doctor.values import Report
from gateway.faces.api.caller import Caller
from gateway.faces.api.operation import operation

api = APIRouter(tags=["operations"])


@operation(api, "GET", "/doctor", cli="doctor", shows=Report)
def examine(call: Caller, everything: bool = False) -> Report:
    """Look at names, records, certificates, ports, clock, disk and queue; operators only, and slow.

    `everything`: at all keys and domains, however many there are; that may take minutes.
    """
    return call.parts.doctor(call.actor, everything)
