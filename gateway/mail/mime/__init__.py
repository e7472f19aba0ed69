"""What a message has in it: parts and attachments, found by offsets, typed by content."""

from gateway.mail.mime.magic import detect_type
from gateway.mail.mime.parameters import ContentValue, decode_words, parse_content_value
from gateway.mail.mime.scan import Attachment, MimeScan, scan_attachments

__all__ = [
    "Attachment",
    "ContentValue",
    "MimeScan",
    "decode_words",
    "detect_type",
    "parse_content_value",
    "scan_attachments",
]
