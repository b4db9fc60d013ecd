"""The route of one notice (spec 05 §4.3, §6.4): the first step that fails names the outcome; dates decide."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Literal

import pytest

from streams.envelopes.envelope import ENVELOPES, Envelope
from streams.kafka.topics import inbox
from streams.messages.message_type import LEGACY_FORMS, has_legacy_form
from streams.registry import AcceptanceRow, AddressRow, ReceiverRow
from streams.words.codes import EncounterClass, Family, Notice
from streams.words.ids import Gln, Kommunekode, Sor
from streams.words.model import NO_TERMS, Address, EnvelopeTerms, Fate, Outcome, Unit
from tests.rules.routes import route_notice

ODENSE = Kommunekode("0461")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUT_OVER = datetime(2026, 5, 31, 22, tzinfo=UTC)  # 2026-06-01 00:00 in Copenhagen


def address(**more: object) -> AddressRow:
    return AddressRow(
        kommunekode=ODENSE,
        message_type="hospital-notification",
        sor=Sor("999004611000016004"),
        gln=Gln("2990000004611"),
        unit_name="Sygehusadviser, Odense Kommune (test)",
        network="vans",
        **more,  # type: ignore[arg-type]
    )


def accepts(form: str, **more: object) -> AcceptanceRow:
    versions = {"fhir": "3.0", "oioxml": "XD2030C+XD1730C", "edifact": "D2030C+D1730C"}
    given = {
        "mime": "application/fhir+json" if form == "fhir" else "",
        "envelope": "none" if form == "edifact" else "vans",
        **more,
    }
    return AcceptanceRow(
        kommunekode=ODENSE,
        message_type="hospital-notification",
        format=form,  # type: ignore[arg-type]
        version=versions[form],
        environment="production",
        **given,  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Terms:
    mode: Literal["auto", "manual"] = "auto"
    ack_timeout: timedelta = timedelta(minutes=30)
    max_resends: int = 2
    retry_pauses: tuple[timedelta, ...] = (timedelta(seconds=5), timedelta(minutes=5))
    memory: timedelta = timedelta(days=30)
    orphan_recheck: timedelta = timedelta(minutes=5)
    expects_positive_receipt: bool = True


@dataclass(frozen=True)
class Register:
    """Registers of one municipality."""

    addresses: Sequence[AddressRow] = field(default_factory=lambda: [address()])
    accepted: Sequence[AcceptanceRow] = field(default_factory=lambda: [accepts("fhir")])
    systems: Sequence[ReceiverRow] = ()
    terms: Terms = field(default_factory=Terms)
    routes: dict[Hashable, Address | Outcome] = field(default_factory=dict)

    def epoch(self, at: datetime) -> float:
        return at.timestamp()

    def address(self, kommunekode: str, message_type: str, at: datetime) -> AddressRow | None:
        return next((row for row in self.addresses if row.valid(at)), None)

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Sequence[AcceptanceRow]:
        return [row for row in self.accepted if row.valid(at)]

    def receivers(self, kommunekode: str, message_type: str, at: datetime, label: str) -> Sequence[ReceiverRow]:
        return [row for row in self.systems if row.valid(at) and row.wants(label)]

    def policy(self, kommunekode: str, format: str) -> Terms:
        return self.terms

    def envelope_terms(self, kommunekode: str, message_type: str, at: datetime, envelope: str) -> EnvelopeTerms:
        return NO_TERMS

    def municipality(self, kommunekode: str, at: datetime | None) -> None:
        """A route names none."""


def routed(
    register: Register,
    notice: Notice = Notice.STIN,
    class_: EncounterClass = "IMP",
    at: datetime = AT,
    concerns: str = "",
) -> Address | Outcome:
    return route_notice(ODENSE, notice, class_, at, register, concerns=concerns)


def form_of(result: Address | Outcome) -> str:
    return result.format if isinstance(result, Address) else result.reason


def test_notice_goes_to_inbox_of_its_municipality() -> None:
    register = Register(
        addresses=[address(aliases=(Gln("2990000000019"),))],
        systems=[
            ReceiverRow(
                kommunekode=ODENSE, message_type="hospital-notification", system="odense-eoj", kind="EOJ", type="A"
            )
        ],
        terms=Terms(mode="manual", ack_timeout=timedelta(minutes=10), max_resends=1),
    )
    assert routed(register) == Address(
        kommunekode=ODENSE,
        topic="municipality.0461.inbox",
        receiver=Unit(
            sor=Sor("999004611000016004"), gln=Gln("2990000004611"), name="Sygehusadviser, Odense Kommune (test)"
        ),
        aliases=(Gln("2990000000019"),),
        receivers=("odense-eoj",),
        format="fhir-json",
        version="3.0",
        envelope="vans",
        mode="manual",
        ack_timeout_s=600,
        max_resends=1,
        retry_pauses_s=(5, 300),
        memory_s=2_592_000,
    )


def test_topic_is_one_that_topic_table_creates() -> None:
    result = routed(Register())
    assert isinstance(result, Address)
    assert result.topic == inbox(ODENSE)


def test_envelope_that_nothing_seals_is_no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVELOPES, "unsealed", Envelope("unsealed", "post"))
    result = routed(Register(accepted=[accepts("fhir", envelope="unsealed")]))
    assert isinstance(result, Outcome)
    assert result.problem.startswith("no-format")


@pytest.mark.parametrize(
    ("register", "fate", "reason", "begins"),
    [
        pytest.param(Register(addresses=[], accepted=[]), Fate.STOPPED, "unroutable", "no-address", id="address first"),
        pytest.param(Register(accepted=[]), Fate.STOPPED, "unroutable", "no-format", id="then format"),
    ],
)
def test_first_step_that_fails_names_outcome(register: Register, fate: Fate, reason: str, begins: str) -> None:
    result = routed(register)
    assert isinstance(result, Outcome)
    assert (result.fate, result.reason) == (fate, reason)
    assert result.problem.startswith(begins)
    assert result.remedy


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        pytest.param(["edifact", "oioxml", "fhir"], "fhir-json", id="fhir before all"),
        pytest.param(["edifact", "oioxml"], "oioxml", id="oioxml before edifact"),
        pytest.param(["edifact"], "edifact", id="edifact when there is nothing else"),
    ],
)
def test_best_of_several_formats_is_sent(accepted: list[str], chosen: str) -> None:
    assert form_of(routed(Register(accepted=[accepts(form) for form in accepted]))) == chosen


def test_municipality_may_prefer_fhir_in_xml() -> None:
    assert form_of(routed(Register(accepted=[accepts("fhir", mime="application/fhir+xml")]))) == "fhir-xml"


@pytest.mark.parametrize(
    ("notice", "concerns", "accepted", "chosen"),
    [
        pytest.param(Notice.RE_STIN, "oioxml", ["fhir", "oioxml"], "oioxml", id="correction keeps its format"),
        pytest.param(Notice.AN_STIN, "edifact", ["fhir", "edifact"], "edifact", id="cancellation keeps its format"),
        pytest.param(Notice.RE_STIN, "oioxml", ["fhir"], "fhir-json", id="format no longer accepted"),
        pytest.param(Notice.RE_STIN, "fhir-xml", ["fhir", "oioxml"], "fhir-json", id="fhir is one format"),
        pytest.param(Notice.SLHJ, "oioxml", ["fhir", "oioxml"], "fhir-json", id="a new notice does not"),
    ],
)
def test_corrections_keep_format_of_what_they_concern(
    notice: Notice, concerns: str, accepted: list[str], chosen: str
) -> None:
    register = Register(accepted=[accepts(form) for form in accepted])
    assert form_of(routed(register, notice, concerns=concerns)) == chosen


@pytest.mark.parametrize(
    ("notice", "class_"), [pytest.param(n, c, id=f"{n}-{c}") for n, c in product(Notice, ("EMER", "IMP"))]
)
def test_what_legacy_cannot_express_is_final_and_no_alarm(notice: Notice, class_: EncounterClass) -> None:
    result = routed(Register(accepted=[accepts("oioxml")]), notice, class_)
    if (notice.family, class_) in LEGACY_FORMS:
        assert form_of(result) == "oioxml"
    else:
        assert result == Outcome(fate=Fate.NOT_SUBJECT, reason="not-representable")
    assert form_of(routed(Register(), notice, class_)) == "fhir-json"


def test_leave_and_acute_stays_have_no_legacy_form() -> None:
    without = {family for family in Family if not any((family, c) in LEGACY_FORMS for c in ("EMER", "IMP"))}
    assert without == {Family.STAA, Family.STOR, Family.SLOR}


def test_acute_stay_is_admission_where_subscribed() -> None:
    accepted = [accepts("oioxml", send_acute_as_admission=True)]
    assert form_of(routed(Register(accepted=accepted), Notice.STAA, "EMER")) == "oioxml"
    assert has_legacy_form(Notice.SLHJ, "EMER", accepted[0]), "where an admission stands as a letter (00 §7.4)"


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        pytest.param(CUT_OVER - timedelta(microseconds=1), "oioxml", id="the instant before"),
        pytest.param(CUT_OVER, "fhir-json", id="the instant itself"),
        pytest.param(CUT_OVER + timedelta(days=1), "fhir-json", id="after"),
    ],
)
def test_municipality_is_switched_over_by_one_dated_row(at: datetime, chosen: str) -> None:
    register = Register(accepted=[accepts("oioxml", valid_to=CUT_OVER), accepts("fhir", valid_from=CUT_OVER)])
    assert form_of(routed(register, at=at)) == chosen


def test_stay_that_crosses_cut_over_goes_on_in_fhir() -> None:
    register = Register(accepted=[accepts("oioxml", valid_to=CUT_OVER), accepts("fhir", valid_from=CUT_OVER)])
    before, after = CUT_OVER - timedelta(hours=1), CUT_OVER + timedelta(hours=1)
    assert form_of(routed(register, Notice.STIN, at=before)) == "oioxml"
    assert form_of(routed(register, Notice.STOR, at=before)) == "not-representable"
    assert form_of(routed(register, Notice.SLOR, at=after)) == "fhir-json"
    assert form_of(routed(register, Notice.RE_STIN, at=after, concerns="oioxml")) == "fhir-json"


def test_receiver_a_gets_all_b_and_c_their_types() -> None:
    systems = [
        ReceiverRow(
            kommunekode=ODENSE, message_type="hospital-notification", system=name, kind="EOJ", type=kind, notices=wants
        )  # type: ignore[arg-type]
        for name, kind, wants in (
            ("eoj", "A", frozenset()),
            ("sapa", "C", frozenset({"STIN"})),
            ("all", "B", frozenset()),
        )
    ]
    notified = {}
    for notice in (Notice.STIN, Notice.RE_STIN, Notice.STOR):
        result = routed(Register(systems=systems), notice)
        assert isinstance(result, Address)
        notified[notice] = result.receivers
    assert notified == {
        Notice.STIN: ("eoj", "sapa", "all"),
        Notice.RE_STIN: ("eoj", "sapa", "all"),
        Notice.STOR: ("eoj", "all"),
    }
