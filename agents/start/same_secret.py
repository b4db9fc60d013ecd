"""The installation secret is the one this installation was started with (00 §1.5), looked at before a relay starts.

Every id is computed from the secret. Under another one the events of an open stay would look for it in another lane,
and its receipts would prove nothing: the stay would be lost without a word. So a fingerprint of the secret lies on the
compacted topic `recipients.control`, under a key that is no kommunekode: an id computed from a constant, from which the
secret cannot be learned. A secret that does not fit is refused while a stay is open; when none is, it is taken as the
new one. Open stays are counted in the changelog of the lanes, and only then: an ordinary start reads one small topic.

Not here: whether there is a secret at all (`streams/operations/settings`).
"""

from typing import Final

import msgspec

from agents.worker.changelog import ClientOptions
from agents.worker.tables import is_own_row
from streams.kafka.clients import new_producer, read_all
from streams.kafka.records import headers
from streams.kafka.topics import CONTROL, RELAY, changelog
from streams.operations import logs
from streams.relay.lane import decode_row
from streams.words.errors import Rejected
from streams.words.ids import Ids, Lane

__all__ = ["SecretChanged", "check_secret"]

#: Key of our record on `recipients.control`.
_KEY: Final = b"installation"
_log: Final = logs.get("run")


class SecretChanged(Exception):
    """Another secret than the one that the ids of open stays were computed from; the text gives the way out."""


class _Fingerprint(msgspec.Struct, frozen=True):
    """What lies on the topic: the secret's name in backups, and what is computed from it."""

    key_id: str
    fingerprint: str


async def check_secret(bootstrap: str, ids: Ids, security: ClientOptions | None = None) -> None:
    """Remembers the secret at the first start, and raises `SecretChanged` when it is another one later.

    Two workers that make the first start of an installation in the same moment with different secrets differ at the next
    start of one of them.
    """
    options = dict(security or {})
    ours = _Fingerprint(ids.key_id, ids.mint(Lane("0" * 8), "installation", "fingerprint of the secret"))
    known = None
    async for record in read_all(bootstrap, (CONTROL,), **options):
        if record.key == _KEY and record.value:
            try:
                known = msgspec.json.decode(record.value, type=_Fingerprint)
            except (msgspec.DecodeError, RecursionError, UnicodeError):  # none of ours: passed over
                _log.warning("control.unreadable", origin=record.origin, bytes=len(record.value))
    if known is not None and known.fingerprint == ours.fingerprint:
        return
    if known is not None:
        stays = await _open_stays(bootstrap, options)
        if stays:
            raise SecretChanged(
                f"STAFET_SECRET_FILE: this is not the secret that the installation was started with (its name was "
                f"{known.key_id}), and {stays} stays are open whose ids were computed from that one (00 §1.5)"
            )
        _log.warning("secret.replaced", key=ids.key_id)
    about = headers(
        message_id=ours.fingerprint, event_type="installation", schema="fingerprint", content_type="application/json"
    )
    async with new_producer(bootstrap, client_id="stafet-secret", **options) as producer:
        await producer.send_and_wait(CONTROL, msgspec.json.encode(ours), key=_KEY, headers=list(about))


async def _open_stays(bootstrap: str, options: ClientOptions) -> int:
    """How many stays are open in the newest rows of all lanes; a row that cannot be read counts as one."""
    stays: dict[bytes, int] = {}
    async for record in read_all(bootstrap, (changelog(RELAY, "lanes"),), committed=True, **options):
        key = record.key or b""
        if is_own_row(key):
            continue
        try:
            row = decode_row(record.value or None)
        except Rejected:
            _log.warning("row.unreadable", origin=record.origin, bytes=len(record.value or b""))
            stays[key] = 1
        else:
            stays[key] = 0 if row is None else row.open_stays
    return sum(stays.values())
