"""Den gode VANSEnvelope 1.0.4: a message or a receipt in its envelope, sealed, opened and inspected.

Decided by spec 02 §2. Documents and schema are the tables of `vans_rules`; duplicates are the lane's matter.
"""

from .vans_inspect import inspect
from .vans_open import Opened, Refused, open_envelope
from .vans_parts import Head, MetaInformation
from .vans_rules import ACKNOWLEDGEMENT_VERSION, NOTIFICATION_VERSION, acknowledgement_name, document_name
from .vans_seal import seal_message, seal_receipt

__all__ = [
    "ACKNOWLEDGEMENT_VERSION",
    "NOTIFICATION_VERSION",
    "Head",
    "MetaInformation",
    "Opened",
    "Refused",
    "acknowledgement_name",
    "document_name",
    "inspect",
    "open_envelope",
    "seal_message",
    "seal_receipt",
]
