"""What the resources of one notification must say together: entries, references, chain, codes, times.

Decided by spec 01 §4 (published invariants and the meaning of the vacuous ones) and §4.1 (product rules P-1 to P-10;
P-11 and P-12 are single elements and stand in `rules.py`). Severities are those for incoming messages; for our own
every one is an error. A rule is a function over the `View`; `RULES` is the list, with its source beside each.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, cast

from streams.formats.fhir.pieces import Finding
from streams.words.errors import Severity

from .classify import COMBINATIONS, classify
from .identifiers import gln_of
from .rules import PROFILES, REPORT_FLAG_URL, REPORT_RECIPIENT_URL
from .view import (
    Object,
    Placed,
    View,
    activity_of,
    extensions_of,
    first,
    is_after_death,
    listed,
    member,
    predecessor_of,
    reference,
    target_of,
    text_at,
)

__all__ = ["DOCUMENTED", "RULES"]

Rule = Callable[[View], Iterable[Finding]]
_NONE: Final[tuple[Finding, ...]] = ()
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_MESSAGING: Final = PROFILES["MessagingOrganization"]
_KNOWN: Final = ("MessageHeader", "Encounter", "Patient", "Organization", "Provenance")


def path_of(placed: Placed) -> str:
    """The path of an entry's resource below Bundle; empty for the Bundle itself (index -1)."""
    return "" if placed[0] < 0 else f".entry[{placed[0]}].resource"


def _counts(view: View) -> Iterable[Finding]:
    """How many of each (spec 01 §2): one header and first, one Patient, one Encounter, at least one Provenance."""
    count = {kind: len(found) for kind, found in view.by_kind.items()}
    out = []
    if not view.by_kind.get("MessageHeader") or view.header[0] != 0:
        out.append(Finding(".entry[0]", "bdl-12", "the first entry is not a MessageHeader", "send MessageHeader first"))
    if count.get("MessageHeader", 0) > 1:
        out.append(Finding(".entry", "2", "more than one MessageHeader", "send one message in one Bundle"))
    if count.get("Patient", 0) != 1:
        rule = "medcom-hospitalNotification-2"
        out.append(Finding(".entry", rule, f"{count.get('Patient', 0)} Patients", "send exactly one"))
    if "Encounter" not in count:
        out.append(Finding(".entry", "2", "no Encounter", "send the Encounter that the MessageHeader points at"))
    elif count["Encounter"] > 1:
        out.append(Finding(".entry", "2", "more than one Encounter", "send one", "warning"))
    if "Provenance" not in count:
        out.append(Finding(".entry", "medcom-messaging-2", "no Provenance", "send the chain, one for each message"))
    return out


def _full_urls(view: View) -> Iterable[Finding]:
    """bdl-7, bdl-8, P-5, 6.6: distinct, absolute, and naming the resource they stand beside."""
    out: list[Finding] = []
    seen: dict[str, str] = {}
    for index, entry in enumerate(view.entries):
        url = text_at(entry, "fullUrl") if entry.__class__ is dict else None
        if url is None:
            continue
        resource = member(entry, "resource")
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        if url in seen or not (url.startswith("https://") and url.endswith(name)) or "/_history/" in url:
            out += _full_url(f".entry[{index}].fullUrl", url, name, seen.get(url))
        seen[url] = name
    return out


def _full_url(path: str, url: str, name: str, before: str | None) -> Iterable[Finding]:
    """What is wrong with one fullUrl beside the resource `name`; `before`: the resource it already stood beside."""
    if before is not None:
        repeated = before == name and name.startswith("Provenance/")  # trap 8: a receiver must load it
        rule, severity = ("P-5", "warning") if repeated else ("bdl-7", "error")
        yield Finding(path, rule, "the same fullUrl as another entry", "send distinct ids", cast(Severity, severity))
    if url.startswith("http"):
        if not url.endswith("/" + name):
            yield Finding(path, "6.6", "another id than the resource has", "end it in /<Type>/<id>")
    elif not url.startswith("urn:uuid:") or url[9:] != name.partition("/")[2]:
        yield Finding(path, "6.6", "not an absolute URL", "send <base>/<Type>/<id>", "warning")
    if "/_history/" in url:
        yield Finding(path, "bdl-8", "names a version", "send <base>/<Type>/<id>")


def _ids(view: View) -> Iterable[Finding]:
    """P-5: ids are UUIDs and unique."""
    ids = [text_at(resource, "id") or "" for _, resource in view.resources]
    if len(set(ids)) == len(ids) and all(map(_UUID.fullmatch, ids)):
        return _NONE
    out, seen = [], set()
    for placed, id_ in zip(view.resources, ids, strict=True):
        path = f"{path_of(placed)}.id"
        if id_ in seen:
            out.append(Finding(path, "P-5", "the same id as another resource", "send distinct ids", "warning"))
        elif _UUID.fullmatch(id_) is None:
            out.append(Finding(path, "P-5", "not a UUID", "send a UUID", "warning"))
        seen.add(id_)
    return out


def _documented(view: View) -> Iterable[Finding]:
    """2.3 and 5.1: every entry names its profile and carries a narrative that is neither empty nor additional."""
    out: list[Finding] = []
    if not _claims(view.bundle, PROFILES["Bundle"]):
        out.append(Finding(".meta.profile", "2.3", "the profile is not named", f"send {PROFILES['Bundle']}", "warning"))
    for kind in _KNOWN:
        for placed in view.by_kind.get(kind, ()):
            resource, path = placed[1], path_of(placed)
            if not _claims(resource, PROFILES[kind]) and not (
                kind == "Organization" and _claims(resource, PROFILES["MessagingOrganization"])
            ):
                out.append(
                    Finding(f"{path}.meta.profile", "2.3", "the profile is not named", "send its canonical", "warning")
                )
            text = member(resource, "text")
            if not text:
                out.append(Finding(f"{path}.text", "5.1", "no narrative", "send text with a div", "warning"))
            elif text.get("status") not in ("generated", "extensions"):
                problem, remedy = "neither generated nor extensions", "send generated or extensions"
                out.append(Finding(f"{path}.text.status", "5.2", problem, remedy, "warning"))
    return out


def _claims(resource: Object, canonical: str) -> bool:
    for profile in listed(member(resource, "meta"), "profile"):
        if profile == canonical or (profile.__class__ is str and profile.partition("|")[0] == canonical):
            return True
    return False


def _current(view: View) -> Iterable[Finding]:
    """P-1: exactly one Provenance speaks of this message."""
    if len(view.current) == 1:
        return _NONE
    problem = f"{len(view.current)} Provenances target this MessageHeader"
    return [Finding(".entry", "P-1", problem, "send exactly one with target MessageHeader/<id of this message>")]


#: A reference that must lead to an entry: whose, under which element, as written, to what, severity when it does not.
Link = tuple[Placed, str, str | None, str, Severity]


def _bundled(view: View) -> list[Link]:
    """The references of header and stay that must be entries."""
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
    return out


def _agents(view: View) -> list[Link]:
    """The actors of the chain. They are not shown, so they may dangle (00 §8.3): published examples and fixtures do."""
    return [
        (placed, f"agent[{index}].who", reference(agent, "who"), "Organization", "warning")
        for placed in view.provenances
        for index, agent in enumerate(listed(placed[1], "agent"))
        if agent.__class__ is dict
    ]


def _references(view: View) -> Iterable[Finding]:
    """P-6: references lead to an entry of the right type. One that is missing altogether is the shape's matter."""
    out = []
    for placed, element, written, kind, severity in (*_bundled(view), *_agents(view)):
        found = view.resolve(written)
        if written is None or (found is not None and found[1]["resourceType"] == kind):
            continue
        path, remedy = f"{path_of(placed)}.{element}.reference", f"send {kind}/<id> of an entry"
        problem = f"leads to no {kind} of the Bundle" if found is None else f"leads to something else than {kind}"
        out.append(Finding(path, "P-6", problem, remedy, severity))
    return out


def _messaging_units(view: View) -> Iterable[Finding]:
    """medcom-messaging-organization: who sends, receives or acts has a GLN besides its SOR code.

    Who only acts is not shown and gets no answer (00 §8.3).
    """
    lacking = {p[0]: p for p in view.by_kind.get("Organization", ()) if gln_of(p[1]) is None}
    if not lacking:
        return _NONE
    severities: dict[int, Severity] = {i: "error" for i, p in lacking.items() if _claims(p[1], _MESSAGING)}
    for link in (*_bundled(view), *_agents(view)):
        found = view.resolve(link[2])
        if link[1] != "serviceProvider" and found is not None and found[0] in lacking:
            severities[found[0]] = "error" if link[4] == "error" else severities.get(found[0], "warning")
    rule, problem = "Organization.identifier:EAN-ID", "a messaging organization without GLN"
    return [
        Finding(f"{path_of(lacking[i])}.identifier", rule, problem, "send its GLN", severities[i])
        for i in sorted(severities)
    ]


def _combination(view: View) -> Iterable[Finding]:
    """P-2: activity, class, status, deceased and role are a row of spec 01 §10; an end exactly when finished."""
    if len(view.current) != 1:
        return _NONE
    placed, encounter = view.current[0], view.encounter[1]
    role = text_at(first(placed[1], "entity"), "role") or ""
    flag = view.patient[1].get("deceasedBoolean")
    deceased = flag if flag.__class__ is bool else None
    notice = classify(
        activity_of(placed[1]),
        role,
        deceased,
        after_death=deceased is True and is_after_death(view, placed[1]),
    )
    if notice is None:
        return _NONE  # P-11 speaks of it
    status = text_at(encounter, "status")
    out = []
    if (notice, text_at(member(encounter, "class"), "code"), status, deceased, role) not in COMBINATIONS:
        problem = f"class, status, deceased and role do not go together in {notice}"
        out.append(Finding(f"{path_of(view.encounter)}.status", "P-2", problem, "send a row of spec 01 §10", "warning"))
    if (status == "finished") != ("end" in member(encounter, "period")):
        problem, remedy = "an end goes with finished and with nothing else", "send the end exactly when finished"
        out.append(Finding(f"{path_of(view.encounter)}.period.end", "P-2", problem, remedy, "warning"))
    return out


def _history(view: View) -> Iterable[Finding]:
    """P-3 and P-4: the chain is closed in itself and begins once (a legacy letter before it counts as beginning)."""
    known = {target_of(p[1]) for p in view.provenances}
    out, beginnings = [], 0
    for placed in view.provenances:
        before = predecessor_of(placed[1])
        beginnings += before is None
        if before is not None and before not in known:
            problem, remedy = "names a message that no Provenance here is about", "send the whole chain"
            out.append(Finding(f"{path_of(placed)}.entity[0].what", "P-3", problem, remedy, "warning"))
    if view.provenances and beginnings != 1:
        problem = f"{beginnings} Provenances without predecessor"
        out.append(Finding(".entry", "P-4", problem, "send exactly one initial Provenance", "warning"))
    return out


def _report(view: View) -> Iterable[Finding]:
    """P-10: a recipient of the report of admission exactly when it is asked for."""
    values = extensions_of(view.header[1])
    asked = values.get(REPORT_FLAG_URL, {}).get("valueBoolean") is True
    if asked == (REPORT_RECIPIENT_URL in values):
        return _NONE
    problem, remedy = "recipient and request do not go together", "send the recipient exactly when the flag is true"
    return [Finding(f"{path_of(view.header)}.extension", "P-10", problem, remedy, "warning")]


#: Every rule about more than one element, with its source in spec 01.
RULES: Final[tuple[Rule, ...]] = (
    _counts,  # §2; bdl-12, medcom-messaging-1, -2, medcom-hospitalNotification-1, -2
    _full_urls,  # bdl-7, bdl-8, 6.6
    _ids,  # P-5
    _current,  # P-1
    _references,  # P-6
    _messaging_units,  # 3.5
    _combination,  # P-2
    _history,  # P-3, P-4
    _report,  # P-10
)

#: Profile and narrative of each entry; for our own messages rows of `rules` demand the same.
DOCUMENTED: Final[Rule] = _documented
