"""The check of a hospital notification: shape, profile, invariants, product rules, in one call.

Every message from others passes it before it is believed; of our own the shape and its texts do before they leave
(`stencil`; spec 01, 1.9).
Decided by spec 01 §3, §4 (published invariants and the meaning of the vacuous ones) and §4.1 (product rules P-1 to P-10;
P-11 and P-12 are single elements), §7 (the order of moments: event, assembly, sending). Rules about single elements are
rows of `rules.py`; a rule about what the resources of one message must be together is a function over the `View`, and
`RULES` is the list, with its source beside each. Severities are those for incoming messages; for our own every one is an
error. Not here: whether a number is registered, whether the chain fits what was received before.
"""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Final

from streams.formats.fhir.shapes import TESTS, instant_of
from streams.formats.fhir.structure import Compiler, Finding, issues
from streams.messages.common import (
    Object,
    Placed,
    View,
    extensions_of,
    first,
    gln_of,
    instant_at,
    listed,
    member,
    predecessor_of,
    reference,
    target_of,
    text_at,
)
from streams.words.errors import Issue, Severity

from .rules import (
    COMBINATIONS,
    ENTRIES,
    INCOMING,
    LEAVE_PERIOD_URL,
    OUTGOING,
    PROFILES,
    REPORT_FLAG_URL,
    REPORT_RECIPIENT_URL,
    is_danish,
    notice_of,
)

Rule = Callable[[View], Iterable[Finding]]

_INCOMING: Final = Compiler(INCOMING).check("Bundle")
_OUTGOING: Final = Compiler(OUTGOING).check("Bundle")
_BOUNDLESS: Final = Finding("", "json", "nested too deep", "send the elements of the profile")
#: An id as P-5 wants it.
UUID: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_UUID: Final = re.compile(UUID)


def check(bundle: Any, *, outgoing: bool = False) -> list[Issue]:
    """Everything that is wrong with a notification, worst first; empty when it is right. Never raises.

    Severities are a receiver's (spec 01 §4.1). `outgoing`: what we send ourselves; every finding is an error, and
    elements that we do not send are refused (§3).
    """
    found: list[Finding] = []
    try:
        if bundle.__class__ is not dict or bundle.get("resourceType") != "Bundle":
            found.append(Finding(".resourceType", "2", "not a Bundle", "send a Bundle of type message"))
        else:
            found += (_OUTGOING if outgoing else _INCOMING)(bundle) or ()
            view = View(bundle)
            for rule in RULES if outgoing else (documented, *RULES):
                found += rule(view)
    except RecursionError:
        found = [_BOUNDLESS]
    if outgoing:
        found = [finding._replace(severity="error") for finding in found]
    return issues("Bundle", sorted(dict.fromkeys(found), key=lambda finding: finding.severity != "error"))


def _path(placed: Placed) -> str:
    """The path of an entry's resource below Bundle; empty for the Bundle itself (index -1)."""
    return "" if placed[0] < 0 else f".entry[{placed[0]}].resource"


# ---- entries ----------------------------------------------------------------------------------------------------


def counts(view: View) -> Iterable[Finding]:
    """How many of each (spec 01 §2): one header and first, one Patient, one Encounter, at least one Provenance."""
    headers, patients, encounters = (
        len(view.by_kind.get(kind, ())) for kind in ("MessageHeader", "Patient", "Encounter")
    )
    if not headers or view.header[0] != 0:
        yield Finding(".entry[0]", "bdl-12", "the first entry is not a MessageHeader", "send MessageHeader first")
    if headers > 1:
        yield Finding(".entry", "2", "more than one MessageHeader", "send one message in one Bundle")
    if patients != 1:
        yield Finding(".entry", "medcom-hospitalNotification-2", f"{patients} Patients", "send exactly one")
    if not encounters:
        yield Finding(".entry", "2", "no Encounter", "send the Encounter that the MessageHeader points at")
    elif encounters > 1:
        yield Finding(".entry", "2", "more than one Encounter", "send one", "warning")
    if not view.provenances:
        yield Finding(".entry", "medcom-messaging-2", "no Provenance", "send the chain, one for each message")


def full_urls(view: View) -> Iterable[Finding]:
    """bdl-7, bdl-8, P-5, 6.6: distinct, absolute, and naming the resource they stand beside."""
    seen: dict[str, str] = {}
    for index, entry in enumerate(view.entries):
        url = text_at(entry, "fullUrl") if entry.__class__ is dict else None
        if url is None:
            continue
        resource, path = member(entry, "resource"), f".entry[{index}].fullUrl"
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        if url not in seen and url.startswith("https://") and url.endswith(name) and "/_history/" not in url:
            seen[url] = name
            continue
        if url in seen:
            repeated = seen[url] == name and name.startswith("Provenance/")  # trap 8: a receiver must load it
            rule, severity = _REPEATED if repeated else _DOUBLED
            yield Finding(path, rule, "the same fullUrl as another entry", "send distinct ids", severity)
        if url.startswith("http"):
            if not url.endswith("/" + name):
                yield Finding(path, "6.6", "another id than the resource has", "end it in /<Type>/<id>")
        elif not url.startswith("urn:uuid:") or url[9:] != name.partition("/")[2]:
            yield Finding(path, "6.6", "not an absolute URL", "send <base>/<Type>/<id>", "warning")
        if "/_history/" in url:
            yield Finding(path, "bdl-8", "names a version", "send <base>/<Type>/<id>")
        seen[url] = name


_REPEATED: Final[tuple[str, Severity]] = ("P-5", "warning")
_DOUBLED: Final[tuple[str, Severity]] = ("bdl-7", "error")


def ids(view: View) -> Iterable[Finding]:
    """P-5: ids are UUIDs and unique."""
    seen = set()
    for placed in view.resources:
        id_, path = text_at(placed[1], "id") or "", f"{_path(placed)}.id"
        if id_ in seen:
            yield Finding(path, "P-5", "the same id as another resource", "send distinct ids", "warning")
        elif _UUID.fullmatch(id_) is None:
            yield Finding(path, "P-5", "not a UUID", "send a UUID", "warning")
        seen.add(id_)


def documented(view: View) -> Iterable[Finding]:
    """2.3 and 5.1: every entry names its profile and carries a narrative that is neither empty nor additional.

    For our own messages rows of `rules` demand the same.
    """
    if not _claims(view.bundle, PROFILES["Bundle"]):
        yield Finding(".meta.profile", "2.3", "the profile is not named", f"send {PROFILES['Bundle']}", "warning")
    for kind in ENTRIES:
        for placed in view.by_kind.get(kind, ()):
            resource, path = placed[1], _path(placed)
            if not _claims(resource, PROFILES[kind]) and not (
                kind == "Organization" and _claims(resource, PROFILES["MessagingOrganization"])
            ):
                remedy = "send its canonical"
                yield Finding(f"{path}.meta.profile", "2.3", "the profile is not named", remedy, "warning")
            text = member(resource, "text")
            if not text:
                yield Finding(f"{path}.text", "5.1", "no narrative", "send text with a div", "warning")
            elif text.get("status") not in ("generated", "extensions"):
                problem, remedy = "neither generated nor extensions", "send generated or extensions"
                yield Finding(f"{path}.text.status", "5.2", problem, remedy, "warning")


def _claims(resource: Object, canonical: str) -> bool:
    for profile in listed(member(resource, "meta"), "profile"):
        if profile == canonical or (profile.__class__ is str and profile.partition("|")[0] == canonical):
            return True
    return False


# ---- references -------------------------------------------------------------------------------------------------

#: A reference that must lead to an entry: whose, under which element, as written, to what, severity when it does not.
Link = tuple[Placed, str, str | None, str, Severity]


def _links(view: View) -> list[Link]:
    """The references of header and stay that must be entries, and the actors of the chain.

    Actors are not shown, so they may dangle (00 §8.3): published examples and fixtures do.
    """
    at, of = view.header, view.encounter
    to = text_at(first(at[1], "focus"), "reference")
    receiver = reference(first(at[1], "destination"), "receiver")
    out: list[Link] = [
        (at, "focus[0]", to, "Encounter", "error"),
        (at, "sender", reference(at[1], "sender"), "Organization", "error"),
        (at, "destination[0].receiver", receiver, "Organization", "error"),
        (of, "subject", reference(of[1], "subject"), "Patient", "error"),
        (of, "serviceProvider", reference(of[1], "serviceProvider"), "Organization", "error"),
    ]
    for index, extension in enumerate(listed(at[1], "extension")):
        if extension.__class__ is dict and extension.get("url") == REPORT_RECIPIENT_URL:
            written = reference(extension, "valueReference")
            out.append((at, f"extension[{index}].valueReference", written, "Organization", "error"))
    for placed in view.provenances:
        for index, agent in enumerate(listed(placed[1], "agent")):
            if agent.__class__ is dict:
                out.append((placed, f"agent[{index}].who", reference(agent, "who"), "Organization", "warning"))
    return out


def references(view: View) -> Iterable[Finding]:
    """P-6: references lead to an entry of the right type. One that is missing altogether is the shape's matter."""
    for placed, element, written, kind, severity in _links(view):
        found = view.resolve(written)
        if written is not None and (found is None or found[1]["resourceType"] != kind):
            path, remedy = f"{_path(placed)}.{element}.reference", f"send {kind}/<id> of an entry"
            problem = f"leads to no {kind} of the Bundle" if found is None else f"leads to something else than {kind}"
            yield Finding(path, "P-6", problem, remedy, severity)


def messaging_units(view: View) -> Iterable[Finding]:
    """medcom-messaging-organization: who sends, receives or acts has a GLN besides its SOR code.

    Who only acts is not shown and gets no answer (00 §8.3).
    """
    lacking = {p[0]: p for p in view.by_kind.get("Organization", ()) if gln_of(p[1]) is None}
    if not lacking:
        return
    messaging = PROFILES["MessagingOrganization"]
    severities: dict[int, Severity] = {i: "error" for i, p in lacking.items() if _claims(p[1], messaging)}
    for _, element, written, _, severity in _links(view):
        found = view.resolve(written)
        if element != "serviceProvider" and found is not None and found[0] in lacking:
            severities[found[0]] = "error" if severity == "error" else severities.get(found[0], "warning")
    for index in sorted(severities):
        rule, problem = "Organization.identifier:EAN-ID", "a messaging organization without GLN"
        yield Finding(f"{_path(lacking[index])}.identifier", rule, problem, "send its GLN", severities[index])


# ---- codes and chain --------------------------------------------------------------------------------------------


def current(view: View) -> Iterable[Finding]:
    """P-1: exactly one Provenance speaks of this message."""
    if len(view.current) != 1:
        problem = f"{len(view.current)} Provenances target this MessageHeader"
        yield Finding(".entry", "P-1", problem, "send exactly one with target MessageHeader/<id of this message>")


def combination(view: View) -> Iterable[Finding]:
    """P-2: activity, class, status, deceased and role are a row of spec 01 §10; an end exactly when finished."""
    notice = notice_of(view) if len(view.current) == 1 else None
    if notice is None:
        return  # of a foreign activity P-11 speaks
    encounter, path = view.encounter[1], _path(view.encounter)
    status, class_ = text_at(encounter, "status"), text_at(member(encounter, "class"), "code")
    role = text_at(first(view.current[0][1], "entity"), "role") or ""
    flag = view.patient[1].get("deceasedBoolean")
    if (notice, class_, status, flag if isinstance(flag, bool) else None, role) not in COMBINATIONS:
        problem = f"class, status, deceased and role do not go together in {notice}"
        yield Finding(f"{path}.status", "P-2", problem, "send a row of spec 01 §10", "warning")
    if (status == "finished") != ("end" in member(encounter, "period")):
        problem, remedy = "an end goes with finished and with nothing else", "send the end exactly when finished"
        yield Finding(f"{path}.period.end", "P-2", problem, remedy, "warning")


def history(view: View) -> Iterable[Finding]:
    """P-3 and P-4: the chain is closed in itself and begins once (a legacy letter before it counts as beginning)."""
    known = {target_of(p[1]) for p in view.provenances}
    beginnings = 0
    for placed in view.provenances:
        before = predecessor_of(placed[1])
        beginnings += before is None
        if before is not None and before not in known:
            problem, remedy = "names a message that no Provenance here is about", "send the whole chain"
            yield Finding(f"{_path(placed)}.entity[0].what", "P-3", problem, remedy, "warning")
    if view.provenances and beginnings != 1:
        problem = f"{beginnings} Provenances without predecessor"
        yield Finding(".entry", "P-4", problem, "send exactly one initial Provenance", "warning")


def report(view: View) -> Iterable[Finding]:
    """P-10: a recipient of the report of admission exactly when it is asked for."""
    values = extensions_of(view.header[1])
    asked = values.get(REPORT_FLAG_URL, {}).get("valueBoolean") is True
    if asked != (REPORT_RECIPIENT_URL in values):
        problem, remedy = "recipient and request do not go together", "send the recipient exactly when the flag is true"
        yield Finding(f"{_path(view.header)}.extension", "P-10", problem, remedy, "warning")


# ---- moments ----------------------------------------------------------------------------------------------------


def leave_periods(view: View) -> list[tuple[str, Object]]:
    """The leave periods of the Encounter with their paths below Bundle."""
    at = f".entry[{view.encounter[0]}].resource.extension"
    return [
        (f"{at}[{index}].valuePeriod", member(extension, "valuePeriod"))
        for index, extension in enumerate(listed(view.encounter[1], "extension"))
        if extension.__class__ is dict and extension.get("url") == LEAVE_PERIOD_URL
    ]


def on_leave_since(view: View) -> Iterable[Finding]:
    """Invariant medcom-hospitalNotification-6, in its meaning: the leave period of the profile has a start."""
    if text_at(view.encounter[1], "status") == "onleave" and not any(
        text_at(leave, "start") is not None for _, leave in leave_periods(view)
    ):
        path, rule = f".entry[{view.encounter[0]}].resource.extension", "medcom-hospitalNotification-6"
        yield Finding(path, rule, "on leave without the start of the leave", "send leavePeriod with start")


def sending(view: View) -> Iterable[Finding]:
    """P-7: recorded and occurred are one moment, not before the Bundle was assembled, not before the event."""
    for placed in view.provenances:
        recorded, occurred = text_at(placed[1], "recorded"), text_at(placed[1], "occurredDateTime")
        if recorded != occurred and recorded and occurred and instant_of(recorded) != instant_of(occurred):
            path, problem = f"{_path(placed)}.recorded", "another moment than occurredDateTime"
            yield Finding(path, "P-7", problem, "send the moment of sending in both", "warning")
    assembled, started = instant_at(view.bundle, "timestamp"), instant_at(member(view.encounter[1], "period"), "start")
    for placed in view.current:
        sent, path = instant_at(placed[1], "recorded"), f"{_path(placed)}.recorded"
        if assembled and sent and assembled > sent:
            yield Finding(path, "P-7", "before Bundle.timestamp", "assemble first, then send", "warning")
        if started and sent and started > sent:
            yield Finding(path, "P-7", "before the stay began", "send after the event", "warning")


def periods(view: View) -> Iterable[Finding]:
    """P-8: the stay does not end before it begins, the leave lies inside it."""
    period = member(view.encounter[1], "period")
    start, end = instant_at(period, "start"), instant_at(period, "end")
    if start and end and start > end:
        path = f".entry[{view.encounter[0]}].resource.period.end"
        yield Finding(path, "P-8", "before period.start", "send the time of departure", "warning")
    for path, leave in leave_periods(view):
        moments = [at for at in (start, instant_at(leave, "start"), instant_at(leave, "end")) if at is not None]
        if any(one > other for one, other in pairwise(moments)):
            problem = "stay, leave and return are not in this order"
            yield Finding(path, "P-8", problem, "send the times of the events", "warning")


def _period_ends(view: View) -> list[tuple[str, str]]:
    """Every start and end of the stay and its leaves, as written, with its path below Bundle."""
    at = f".entry[{view.encounter[0]}].resource.period"
    return [
        (f"{path}.{name}", text)
        for path, period in ((at, member(view.encounter[1], "period")), *leave_periods(view))
        for name in ("start", "end")
        if (text := text_at(period, name)) is not None
    ]


def whole_moments(view: View) -> Iterable[Finding]:
    """7.1: a dateTime has a time and a zone; of FHIR it may be a year or a day, which no one could show or compare."""
    named: list[tuple[str, str | None, Severity]] = [(path, text, "error") for path, text in _period_ends(view)]
    for placed in view.provenances:
        severity: Severity = "error" if placed in view.current else "warning"
        named.append((f"{_path(placed)}.occurredDateTime", text_at(placed[1], "occurredDateTime"), severity))
    for path, text, severity in named:
        if text is not None and instant_of(text) is None and TESTS["dateTime"](text):
            yield Finding(path, "7.1", "without time and zone", "send YYYY-MM-DDThh:mm:ss+01:00", severity)


def zones(view: View) -> Iterable[Finding]:
    """P-9: times of the stay carry the Danish offset of their moment."""
    for path, text in _period_ends(view):
        if not is_danish(text):
            problem = "not the Danish offset of that moment, or not whole seconds"
            yield Finding(path, "P-9", problem, "send YYYY-MM-DDThh:mm:ss+01:00 or +02:00", "warning")


#: Every rule about more than one element, with its source in spec 01.
RULES: Final[tuple[Rule, ...]] = (
    counts,  # §2; bdl-12, medcom-messaging-1, -2, medcom-hospitalNotification-1, -2
    full_urls,  # bdl-7, bdl-8, 6.6
    ids,  # P-5
    current,  # P-1
    references,  # P-6
    messaging_units,  # 3.5
    combination,  # P-2
    history,  # P-3, P-4
    report,  # P-10
    on_leave_since,  # medcom-hospitalNotification-6
    sending,  # P-7
    periods,  # P-8
    whole_moments,  # 7.1
    zones,  # P-9
)
