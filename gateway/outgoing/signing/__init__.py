"""DKIM signatures for outgoing mail. The only room that opens private keys."""

from gateway.outgoing.signing.keys import KeyCache, UnusableKey
from gateway.outgoing.signing.signer import NoSignature, Signatures, Signer, still_stands

__all__ = ["KeyCache", "NoSignature", "Signatures", "Signer", "UnusableKey", "still_stands"]
