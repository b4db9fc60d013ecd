"""Records of a municipality's inbox, by a name each, and what its reception makes of one: every byte counts."""

from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from streams.formats.fhir.build import to_json
from streams.messages.hospitalnotification import redispatch
from streams.receiver.inbox import Reception, take
from streams.receiver.stays import history, status
from streams.words.codes import Notice
from streams.words.ids import EpisodeId, Gln, Sor
from streams.words.model import EpisodeIdentifier, Unit
from tests.conformance.mutations import damaged, drop
from tests.meanings.acknowledgements import acknowledgement
from tests.meanings.notifications import BEGIN, PATIENT, SURGERY, bundle, notification, story
from tests.meanings.test_reception import AT, LEGACY, kinds, numbered, sealed

__all__ = ["INBOX", "reception_after"]

N = Notice
_ELSEWHERE: Final = Unit(sor=Sor("999000021000016008"), gln=Gln("2990000000019"), name="Neurologi", hospital="AUH")
_OTHER: Final = (EpisodeIdentifier(system="https://example.org", value=EpisodeId("other")),)
_STAY: Final = (N.STAA, N.RE_STAA, N.STIN, N.STOR, N.RE_STOR, N.SLOR, N.AN_SLOR, N.SLOR, N.SLHJ, N.AN_SLHJ, N.MORS)
_MESSAGES: Final[dict[str, dict[str, Any]]] = {
    **{f"{number} {one.notice}": bundle(one) for number, one in enumerate(story(*_STAY))},
    **{f"first {notice}": bundle(notification(notice)) for notice in (N.STIN, N.AN_STIN, N.RE_STIN, N.AN_MORS)},
    "of another hospital": bundle(next(story(N.STIN, sender=_ELSEWHERE, begin=BEGIN + timedelta(hours=3)))),
    "of another hospital before": bundle(next(story(N.STIN, sender=_ELSEWHERE, begin=BEGIN - timedelta(hours=3)))),
    "of the same time": bundle(notification(N.STIN, sender=SURGERY, provider=SURGERY)),
    "of another episode": bundle(notification(N.STIN, episode=_OTHER)) | {"id": numbered(9)},
    "of another citizen": bundle(notification(N.STIN, patient=msgspec.structs.replace(PATIENT, cpr="2512489996")))
    | {"id": numbered(8)},
    "without a class": damaged(bundle(notification(N.SLHJ)), drop("Encounter.class")),
    "of a used id": bundle(notification(N.MORS)) | {"id": bundle(notification(N.STIN))["id"]},
}
_START: Final = _MESSAGES["first STIN"]

#: Each message in an envelope of its own; and what is no plain message in an envelope.
INBOX: Final[dict[str, bytes]] = {
    **{name: sealed(message, numbered(100 + at)) for at, (name, message) in enumerate(_MESSAGES.items())},
    "sent again": sealed(redispatch(_START, numbered(7), AT + timedelta(minutes=30)), numbered(50)),
    "in a used envelope": sealed(bundle(notification(N.SLHJ)), numbered(100)),
    "bare": to_json(_START),
    "unreliable": sealed(_START, numbered(51)).replace(b">reliable<", b">unreliable<"),
    "an acknowledgement": sealed(to_json(acknowledgement()), numbered(52)),
    "a bare acknowledgement": to_json(acknowledgement()),
    "a letter": sealed(b"<Emessage/>", numbered(53), **LEGACY),
    "no JSON": sealed(b"not JSON at all", numbered(54)),
    "nobody to answer": sealed(b'{"resourceType": "Patient"}', numbered(55)),
    "bare and nobody to answer": b'{"resourceType": "Patient"}',
    "cut": b"<VANSEnvelope",
    "for somebody else": sealed(_START, numbered(56), receiver_gln="5790000000005"),
}


def reception_after(reception: Reception, name: str, **how: Any) -> tuple[Reception, str]:
    """The reception after a record, what it answers, and what it shows of every stay."""
    after, receipts = take(reception, INBOX[name], AT, **how)
    bare = not INBOX[name].startswith(b"<")
    shown = [f"{status(stay)} ({', '.join(map(str, history(stay)))})" for stay in after.subscriber.stays]
    words = [*(["bare"] * len(receipts) if bare else kinds(list(receipts))), *shown]
    whole = msgspec.json.encode([after, receipts, [history(stay) for stay in after.subscriber.stays]])
    return after, f"{'; '.join(words) or 'nothing'} {sha256(whole).hexdigest()[:8]}"
