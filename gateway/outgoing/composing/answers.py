"""A refusal at the door, as a program is told: a code to act on, the SMTP reply and the rule for people."""

from __future__ import annotations

import math

from gateway.control.directory import RefusedReason
from gateway.control.errors import Forbidden, Invalid, NotFound, ServiceError, TooMany, Unavailable
from gateway.control.lookup import not_found
from gateway.control.records import AccountRecord
from gateway.mail.reply import Refusal
from gateway.outgoing.quota import QuotaRefused

_FOR_NOW = {
    "signing": "no-signing-key",
    "shard": "no-shard",
    "location": "location-away",
    "account home": "account-moving",
    "storage full": "storage-full",
    "storage away": "storage-away",
}
_SENDERS = ("sender.identity", "from.", "sender-field.", "resent-", "domain.")
_OF_THE_MESSAGE = ("header.", "content.", "options.", "limits.", "sender.bare_newlines", "sender.long_lines")
_FORM = ("identity", "verified")


def service_error(refusal: Refusal, now: float) -> ServiceError:
    """What a refusal is to a caller of the API. `now` is in seconds since 1970."""
    detail, rule_named = str(refusal.reply), f"(rule {refusal.rule})"
    if not detail.endswith(rule_named):
        detail = f"{detail} {rule_named}"
    if isinstance(refusal, QuotaRefused):
        return _quota(refusal, detail, now)
    rule = refusal.rule
    if rule == "limits.recipients_per_message":
        return Invalid("too-many-recipients", detail, "Send it to the others in another message.")
    if refusal.reply.is_transient:
        return Unavailable(_FOR_NOW.get(rule, "not-now"), detail, "Try again in a minute, with the same key.")
    if rule.startswith(_SENDERS):
        if rule.endswith(_FORM):
            fix = "See `gatepost account show` for its addresses, `gatepost domain records` for DNS."
            return Forbidden("sender-not-allowed", detail, fix)
        return Invalid("bad-sender", detail, "Give exactly one From, with an address of the account.")
    if refusal.reply.code == 552:
        return Invalid("message-too-large", detail, "Send less, or a link instead of the file.")
    if rule == "hops" or rule.startswith(_OF_THE_MESSAGE):
        return Invalid("message-not-accepted", detail, "Change the message as the reply says.")
    return Forbidden("refused-by-policy", detail, "See `gatepost policy explain` for the account's policy.")


def _quota(refusal: QuotaRefused, detail: str, now: float) -> ServiceError:
    if refusal.opens_at is None:
        return Forbidden("over-limit", detail, "Send it to fewer recipients, or have the limit raised.")
    seconds = math.ceil(refusal.opens_at - now)
    fix = f"Try again in {max(1, seconds)} s, or have the limit raised: `gatepost limit raise`."
    return TooMany("quota-exceeded", detail, fix, seconds)


def may_not(reason: RefusedReason, account: AccountRecord) -> Forbidden | NotFound | Unavailable:
    """Why the directory lets an account do nothing, as the caller is told."""
    if reason is RefusedReason.UNKNOWN:
        return not_found("account", account.address)
    if reason is RefusedReason.TENANT_SUSPENDED:
        return Forbidden(
            "tenant-suspended",
            f"The tenant of {account.address} is suspended or being deleted.",
            "`gatepost tenant resume` lets it send again, `gatepost tenant restore` brings it back.",
        )
    if reason is RefusedReason.ACCOUNT_SUSPENDED:
        return Forbidden(
            "account-suspended",
            f"The account {account.address} is suspended or being deleted.",
            f"`gatepost account update {account.address} --resume` lets it send again, "
            f"`gatepost account restore {account.address}` brings it back if it is being deleted.",
        )
    return away(reason.value)


def away(why: str) -> Unavailable:
    """A database or the control plane does not answer just now."""
    return Unavailable("not-now", f"The message cannot be taken just now: {why}.", "Try again in a minute.")
