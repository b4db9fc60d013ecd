"""Subscribers to be tested: our own, and ten and more with one fault each, as wrappers around it.

A subscriber is a function from an inbox record to its receipts. A fault changes what goes in or what comes out.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from streams.envelopes import vans
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import from_bytes
from streams.messages.acknowledgement import write
from streams.messages.hospitalnotification import read
from streams.receiver.inbox import Reception, take
from streams.registry import load
from streams.sim.selftest import Cast, ChecklistLine, Exchange, Part, parts, results
from streams.words.codes import Verdict
from streams.words.ids import Ids, Kommunekode
from streams.words.model import Unit

__all__ = ["AT", "FAULTS", "Fault", "Subscriber", "cast", "judged", "ours", "written"]

AT = datetime(2026, 3, 5, 9, tzinfo=UTC)
EXAMPLE = load("example", now=AT)

Subscriber = Callable[[bytes, datetime], list[bytes]]
Fault = Callable[[Subscriber], Subscriber]
Bundle = dict[str, Any]


def cast(seed: str = "a seed of the tests") -> Cast:
    """Odense under test, notified by Odense and Aarhus."""
    address = EXAMPLE.address("0461", "hospital-notification", AT)
    odense, aarhus = (
        EXAMPLE.locate("EPJ-SYD/OUH", "OUH", "FAM", AT),
        EXAMPLE.locate("EPJ-MIDT/AUH", "AUH", "AKUT", AT),
    )
    assert address is not None
    assert odense is not None
    assert aarhus is not None
    units: tuple[Unit, Unit] = (odense, aarhus)
    return Cast(
        receiver=address.receiver, kommunekode=Kommunekode("0461"), hospitals=units, at=AT, ids=Ids(seed.encode())
    )


@cache
def written() -> tuple[Part, ...]:
    """The letters of every step."""
    return parts(cast())


def judged(subscriber: Subscriber, answers_after: timedelta = timedelta(seconds=1)) -> tuple[ChecklistLine, ...]:
    """The checklist of a subscriber, without a broker: letters go in as they are due, until nothing is waited for."""
    exchange, now = Exchange(written()), AT
    while letters := exchange.due(now):
        now += answers_after
        for letter in letters:
            for receipt in subscriber(letter.data, now):
                exchange.take(receipt, now)
    return results(exchange)


def ours() -> Subscriber:
    """The reference subscriber."""
    reception = Reception()

    def answer(record: bytes, at: datetime) -> list[bytes]:
        nonlocal reception
        reception, receipts = take(reception, record, at)
        return list(receipts)

    return answer


# ---- opening and sealing again -----------------------------------------------------------------------------------


def bundle_in(record: bytes) -> Bundle | None:
    """The FHIR message in an envelope; None for receipts of envelopes and for what is broken."""
    try:
        opened = vans.open_envelope(record)
        return from_bytes(opened.payload) if opened.content_kind == "message" else None
    except vans.EnvelopeRefused:
        return None


def resealed(receipt: bytes, bundle: Bundle, **changes: Any) -> bytes:
    """The acknowledgement in the envelope of `receipt`."""
    opened = vans.open_envelope(receipt)
    values: dict[str, Any] = {
        "sender_gln": opened.sender,
        "receiver_gln": opened.receiver,
        "transport_id": opened.envelope_id,
        "message_id": bundle["id"],
        "sent": opened.sent,
        "name": f"MCM:FCTL#{bundle['entry'][0]['resource']['response']['code']}",
        "version": "2.0.0",
        "media_type": vans.FHIR_JSON,
    }
    return vans.seal_message(to_json(bundle), **(values | changes))


def answered(record: bytes, verdict: Verdict, at: datetime, *, ids: str) -> bytes:
    """An acknowledgement of the message in `record`, with ids that begin with `ids`."""
    original, opened = bundle_in(record), vans.open_envelope(record)
    assert original is not None
    bundle = write(original, verdict, header_id=f"{ids}-1111-4111-8111-000000000001", envelope_id=f"{ids}-b", at=at)
    bundle["id"] = f"{ids}-2222-4222-8222-000000000002"
    return vans.seal_message(
        to_json(bundle),
        sender_gln=opened.receiver,
        receiver_gln=opened.sender,
        transport_id=f"{ids}-3333-4333-8333-000000000003",
        message_id=bundle["id"],
        sent=at,
        name=f"MCM:FCTL#{verdict}",
        version="2.0.0",
        media_type=vans.FHIR_JSON,
    )


def _digits(record: bytes, at: datetime) -> str:
    return hashlib.sha256(record + str(at).encode()).hexdigest()[:8]


def header_of(bundle: Bundle) -> Bundle:
    header: Bundle = bundle["entry"][0]["resource"]
    return header


def _each_acknowledgement(change: Callable[[bytes, Bundle, Bundle], bytes]) -> Fault:
    """A fault in how an acknowledgement looks: `change` gets it, its Bundle, and the message answered."""

    def fault(subscriber: Subscriber) -> Subscriber:
        def answer(record: bytes, at: datetime) -> list[bytes]:
            original = bundle_in(record)
            receipts = subscriber(record, at)
            if original is None:
                return receipts
            return [
                each if (bundle := bundle_in(each)) is None else change(each, bundle, original) for each in receipts
            ]

        return answer

    return fault


def _with_verdict(verdict: Verdict, when: Callable[[Bundle, set[str]], bool]) -> Fault:
    """A fault in the verdict: another one where `when` shows it of a message and of the ids seen before it."""

    def fault(subscriber: Subscriber) -> Subscriber:
        seen: set[str] = set()

        def answer(record: bytes, at: datetime) -> list[bytes]:
            receipts, original = subscriber(record, at), bundle_in(record)
            if original is None or "focus" not in header_of(original):
                return receipts
            wrong = when(original, seen)
            seen.add(header_of(original)["id"])
            if wrong and bundle_in(receipts[-1]):
                receipts[-1] = answered(record, verdict, at, ids=_digits(record, at))
            return receipts

        return answer

    return fault


# ---- the faults --------------------------------------------------------------------------------------------------


def _shows_both(subscriber: Subscriber) -> Subscriber:
    def answer(record: bytes, at: datetime) -> list[bytes]:
        receipts = subscriber(record, at)
        if receipts and (bundle := bundle_in(receipts[-1])) and header_of(bundle)["response"]["code"] == "ok":
            receipts.append(answered(record, "fatal-error", at, ids=_digits(record, at)))
        return receipts

    return answer


def _drops_duplicates(subscriber: Subscriber) -> Subscriber:
    seen: set[str] = set()

    def answer(record: bytes, at: datetime) -> list[bytes]:
        receipts, original = subscriber(record, at), bundle_in(record)
        if original is None:
            return receipts
        repeated = header_of(original)["id"] in seen
        seen.add(header_of(original)["id"])
        return receipts[:1] if repeated else receipts

    return answer


def _is_silent(subscriber: Subscriber) -> Subscriber:
    return lambda record, at: []


def _acknowledges_acknowledgements(subscriber: Subscriber) -> Subscriber:
    def answer(record: bytes, at: datetime) -> list[bytes]:
        receipts, original = subscriber(record, at), bundle_in(record)
        if original is not None and "response" in header_of(original):
            receipts.append(answered(record, "ok", at, ids="dddddddd"))
        return receipts

    return answer


def _answers_receipts(subscriber: Subscriber) -> Subscriber:
    def answer(record: bytes, at: datetime) -> list[bytes]:
        receipts = subscriber(record, at)
        if b"<Receipt>" in record:
            opened = vans.open_envelope(record)
            receipt = vans.seal_receipt(
                "positive-message",
                sender=opened.receiver,
                receiver=opened.sender,
                transport_id="eeeeeeee-1111-4111-8111-000000000001",
                sent=at,
                original_transport_id=opened.envelope_id,
                original=opened.meta,
            )
            receipts.append(receipt)
        return receipts

    return answer


def _reads_no_xml(subscriber: Subscriber) -> Subscriber:
    return lambda record, at: [] if b">application/fhir+xml<" in record else subscriber(record, at)


def _gives_no_envelope_receipts(subscriber: Subscriber) -> Subscriber:
    return lambda record, at: [each for each in subscriber(record, at) if b"<PositiveMessage>" not in each]


def _takes_broken_envelopes(subscriber: Subscriber) -> Subscriber:
    def answer(record: bytes, at: datetime) -> list[bytes]:
        return subscriber(record.replace(b"<SizeInBytes>1", b"<SizeInBytes>", 1), at)

    return lambda record, at: subscriber(record, at) if bundle_in(record) is not None else answer(record, at)


def _quotes(change: Callable[[Bundle], str]) -> Fault:
    def quoting(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
        header_of(bundle)["response"]["identifier"] = change(original)
        return resealed(receipt, bundle)

    return _each_acknowledgement(quoting)


def _names_another(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    own = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Provenance"][1]
    own["entity"][0]["what"]["reference"] = "MessageHeader/99999999-1111-4111-8111-000000000001"
    return resealed(receipt, bundle)


def _repeats_ids(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    """Ids by the message alone, not by the answer."""
    own, number = header_of(bundle)["id"], header_of(original)["id"]
    text = to_json(bundle).decode().replace(own, number[:-4] + "aaaa")
    again = from_bytes(text.encode()) | {"id": number[:-4] + "bbbb"}
    return resealed(receipt, again)


def _swapped(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    header = header_of(bundle)
    sender, receiver = header["sender"], header["destination"][0]["receiver"]
    header["sender"], header["destination"][0]["receiver"] = receiver, sender
    return resealed(receipt, bundle)


def _from_elsewhere(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    return resealed(receipt, bundle, sender_gln="2990000099990")


def _without(kind: str) -> Callable[[bytes, Bundle, Bundle], bytes]:
    def dropped(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
        place = [i for i, e in enumerate(bundle["entry"]) if e["resource"]["resourceType"] == kind]
        for index in place[:1]:
            del bundle["entry"][index]
        if kind == "OperationOutcome":
            header_of(bundle)["response"].pop("details", None)
        return resealed(receipt, bundle)

    return dropped


def _plainly_named(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    return resealed(receipt, bundle, name="MCM:FCTL")


def _without_profile(receipt: bytes, bundle: Bundle, original: Bundle) -> bytes:
    del header_of(bundle)["source"]
    return resealed(receipt, bundle)


def _notice(original: Bundle) -> str:
    return str(read(original).notice)


def _is_overtaken(original: Bundle, seen: set[str]) -> bool:
    """A STIN whose successor in the chain is known already: reported as wrong by those who refuse the late."""
    own = header_of(original)["id"]
    previous = read(original).previous
    late = bool(previous) and f"after {previous}" in seen and own not in seen
    seen.update(f"after {id_}" for id_ in read(original).chain[:-1])
    return late


def _is_unknown(original: Bundle, seen: set[str]) -> bool:
    previous = read(original).previous
    return bool(previous) and previous not in seen


def _violates(original: Bundle, seen: set[str]) -> bool:
    return all("class" not in e["resource"] for e in original["entry"] if e["resource"]["resourceType"] == "Encounter")


def _has_no_case(original: Bundle, seen: set[str]) -> bool:
    return read(original).cpr[6] in "5678" and read(original).cpr[4:6] >= "40"


def _repeated(original: Bundle, seen: set[str]) -> bool:
    return header_of(original)["id"] in seen


#: Fault -> how, and a line of the checklist that must name it.
FAULTS: dict[str, tuple[Fault, str]] = {
    "acknowledges twice with different verdicts": (_shows_both, "one verdict"),
    "forgets to acknowledge duplicates": (_drops_duplicates, "resend"),
    "acknowledges nothing": (_is_silent, "admission"),
    "quotes Bundle.id": (_quotes(lambda original: str(original["id"])), "quotes the message"),
    "names another message in its Provenance": (_each_acknowledgement(_names_another), "names the message"),
    "answers duplicates with fatal-error": (_with_verdict("fatal-error", _repeated), "identical duplicate"),
    "repeats the ids of its acknowledgement": (_each_acknowledgement(_repeats_ids), "fresh ids"),
    "refuses what was overtaken": (_with_verdict("fatal-error", _is_overtaken), "out of order"),
    "refuses an unknown predecessor": (_with_verdict("fatal-error", _is_unknown), "unknown predecessor"),
    "refuses a death": (_with_verdict("fatal-error", lambda o, s: _notice(o) == "MORS"), "death on arrival"),
    "refuses a cancellation": (_with_verdict("fatal-error", lambda o, s: _notice(o) == "AN_STIN"), "cancellation"),
    "refuses who has no case": (_with_verdict("fatal-error", _has_no_case), "no legal basis"),
    "accepts a profile violation": (_with_verdict("ok", _violates), "profile violation"),
    "answers from another address": (_each_acknowledgement(_from_elsewhere), "addresses"),
    "does not swap sender and receiver": (_each_acknowledgement(_swapped), "addresses"),
    "refuses without a reason": (_each_acknowledgement(_without("OperationOutcome")), "gives its reason"),
    "sends one Provenance": (_each_acknowledgement(_without("Provenance")), "two Provenances"),
    "breaks the profile of the acknowledgement": (_each_acknowledgement(_without_profile), "profile"),
    "does not name the verdict on the envelope": (_each_acknowledgement(_plainly_named), "document name"),
    "acknowledges an acknowledgement": (_acknowledges_acknowledgements, "acknowledgement"),
    "answers a receipt": (_answers_receipts, "envelope receipt"),
    "reads no XML": (_reads_no_xml, "XML"),
    "gives no receipts for envelopes": (_gives_no_envelope_receipts, "envelope receipts"),
    "takes a damaged envelope": (_takes_broken_envelopes, "damaged envelope"),
}  # fmt: skip
