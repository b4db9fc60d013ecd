"""The tables of the read model: what the observer knows of each shipment, and where it read it.

One shipment is one message to one municipality (spec 06 §3.3). `steps` holds what the topics report, one row for each
ledger row, status event and hospital event, by its own id: a record that is read twice adds nothing. Each row of
`shipments` is computed from the steps of its message alone, so the order in which topics are read changes nothing
(decision 0074). A person is a keyed hash; no table holds a CPR number, a name or an address.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An instant, as microseconds since 1970 in UTC: the same order and the same value in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """An aware time; a naive one is refused with TypeError."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The time in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

#: How far each partition has been read; written in the transaction of the rows that were read.
positions: Final = Table(
    "positions",
    metadata,
    Column("topic", String(100), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("read_at", Moment, nullable=False),  # timestamp of the newest record read
)

#: One row for each ledger row, status event and hospital event that was read.
steps: Final = Table(
    "steps",
    metadata,
    Column("id", String(300), primary_key=True),  # of the ledger row; `trace/` + AuditEvent id; `lane/` + event id
    Column("source", String(10), nullable=False),  # ledger, trace, lane
    Column("kind", String(30), nullable=False),  # of the ledger row; subtype of the status event; kind of the event
    Column("at", Moment, nullable=False),
    Column("message_id", String(80), nullable=False),  # "" when it is about no message
    Column("event_id", String(120), nullable=False),  # of the stay event, or the origin of the receipt, it is about
    Column("topic", String(100), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON, nothing of a person in it
    Index(None, "message_id"),
    Index(None, "event_id"),
    Index(None, "kind", "at"),
)

#: One row for each shipment, computed from its steps.
shipments: Final = Table(
    "shipments",
    metadata,
    Column("message_id", String(80), primary_key=True),  # MessageHeader.id
    Column("status", String(30), nullable=False),  # word of 06 §3.3: created, sent, overdue, resent, transient, …
    Column("is_open", Boolean, nullable=False),  # not final
    Column("late", Boolean, nullable=False),  # a verdict after it was given up or undeliverable
    Column("kommunekode", String(4), nullable=False),
    Column("notice", String(30), nullable=False),  # STIN, SLHJ, …
    Column("message_type", String(60), nullable=False),
    Column("format", String(20), nullable=False),  # fhir, oioxml, edifact; "" until it is known
    Column("hospital_sor", String(20), nullable=False),
    Column("hospital_name", String(200), nullable=False),
    Column("department", String(200), nullable=False),
    Column("receiver_sor", String(20), nullable=False),
    Column("receiver_name", String(200), nullable=False),
    Column("lane", String(8), nullable=False),
    Column("feed", String(80), nullable=False),
    Column("event_id", String(80), nullable=False),
    Column("person", String(64), nullable=False),  # keyed hash of the CPR number; "" when unknown
    Column("stay", String(64), nullable=False),  # keyed hash of feed and visit number
    Column("event_time", Moment),  # when it happened
    Column("registered", Moment),  # when the hospital registered it (EVN-2, else MSH-7)
    Column("received", Moment),  # when the relay took the event
    Column("created", Moment, nullable=False),
    Column("sent", Moment),  # first hand-over
    Column("last_sent", Moment),
    Column("deadline", Moment),  # of the receipt, while one is waited for
    Column("settled", Moment),  # first final state
    Column("acknowledged", Moment),  # first verdict
    Column("attempts", Integer, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),  # in a receiver's words, or a reason code; "" for none
    Column("case_state", String(10), nullable=False),  # "", open, closed
    Column("case_reason", String(30), nullable=False),  # timeout, undeliverable, fatal, given-up-by-operator
    Column("case_opened", Moment),
    Index(None, "status", "created"),
    Index(None, "created"),
    Index(None, "kommunekode", "created"),
    Index(None, "hospital_sor", "created"),
    Index(None, "kommunekode", "status", "created"),
    Index(None, "hospital_sor", "status", "created"),
    Index(None, "notice", "created"),
    Index(None, "format", "created"),
    Index(None, "is_open", "deadline"),
    Index(None, "case_state", "created"),
    Index(None, "attempts", "created"),
    Index(None, "person", "created"),
    Index(None, "stay", "created"),
)

#: Every id by which a shipment is found.
identifiers: Final = Table(
    "identifiers",
    metadata,
    Column("value", String(200), primary_key=True),  # as asked for; of visit numbers a keyed hash
    Column(
        "kind", String(20), primary_key=True
    ),  # message, bundle, envelope, stay, visit, control, receipt, trace, place
    Column("message_id", String(80), primary_key=True),
    Index(None, "message_id"),
)

#: One row for each receipt that was received.
receipts: Final = Table(
    "receipts",
    metadata,
    Column("origin", String(120), primary_key=True),  # topic/partition/offset
    Column("at", Moment, nullable=False),
    Column("class_", String(30), nullable=False),  # of law L4: first, repeated, conflicting, stale, transient, …
    Column("verdict", String(20), nullable=False),
    Column("message_id", String(80), nullable=False),  # "" when it answers none of ours
    Column("kommunekode", String(4), nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "message_id"),
    Index(None, "class_", "at"),
    Index(None, "kommunekode", "at"),
)

#: One row for each record of a source topic and each stay event: its fate (00 §5, lines 1 and 2).
events: Final = Table(
    "events",
    metadata,
    Column("id", String(300), primary_key=True),  # origin of a record; id of a stay event
    Column("level", String(10), nullable=False),  # record, stay-event
    Column("at", Moment, nullable=False),
    Column("fate", String(20), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("parts", Integer, nullable=False),
    Column("notifications", Integer, nullable=False),
    Column("feed", String(80), nullable=False),
    Index(None, "level", "at"),
    Index(None, "fate", "at"),
    Index(None, "feed", "at"),
)

#: What operators have decided about a municipality, as it stands: the newest record of `recipients.control`.
standings: Final = Table(
    "standings",
    metadata,
    Column("kommunekode", String(4), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("paused_since", Moment),
    Column("pause_reason", Text, nullable=False),
    Column("mode", String(10), nullable=False),  # "", auto, manual
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
)

#: What lies with the dead letters.
dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("place", String(120), primary_key=True),  # of the dead letter
    Column("origin", String(120), nullable=False),
    Column("at", Moment, nullable=False),
    Column("stage", String(40), nullable=False),
    Column("code", String(80), nullable=False),
    Column("path", String(200), nullable=False),
    Column("problem", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("state", String(12), nullable=False),  # open, redriven, discarded, handled
    Index(None, "state", "at"),
    Index(None, "code", "at"),
    Index(None, "origin"),
)

#: Decisions about municipalities, oldest first: pause, resume, mode.
recipient_decisions: Final = Table(
    "recipient_decisions",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("kommunekode", String(4), nullable=False),
    Column("at", Moment, nullable=False),
    Column("what", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(120), nullable=False),
    Index(None, "kommunekode", "at"),
)

#: Sums by period and place, kept in the transaction that changes a shipment: overview and charts read these alone.
#: Each shipment is counted in the five minutes and the hour of the whole, and in the hour of its municipality and of its
#: hospital; fates of events and classes of receipts in those of the whole.
counts: Final = Table(
    "counts",
    metadata,
    Column(
        "place", String(24), primary_key=True
    ),  # "" by five minutes; by hours: all, kommune/<kommunekode>, hospital/<SOR code>
    Column("bucket", Moment, primary_key=True),  # its start
    Column("what", String(10), primary_key=True),  # created, sent, receipt, settled; record, stay-event, made, class
    Column("status", String(30), primary_key=True),
    Column("format", String(20), primary_key=True),
    Column("slot", Integer, primary_key=True),  # of a receipt: time to it, by bound of a histogram; else -1
    Column("n", Integer, nullable=False),
)

#: What the reconciliation job found, newest last: the second path beside our own counters.
balances: Final = Table(
    "balances",
    metadata,
    Column("at", Moment, primary_key=True),
    Column("difference", Integer, nullable=False),
    Column("body", Text, nullable=False),  # JSON of every term
)

#: Who searched, revealed, resent, paused: never changed, read by auditors.
audit: Final = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(200), nullable=False),  # an id, a kommunekode; of a person the keyed hash
    Column("reason", Text, nullable=False),
    Index(None, "at"),
    Index(None, "who", "at"),
    Index(None, "subject"),
)

#: A decision about many shipments.
jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("what", String(20), nullable=False),  # resend, send-anew, give-up, close-case
    Column("who", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("filter", Text, nullable=False),  # JSON
    Column("state", String(10), nullable=False),  # running, paused, done
)

#: One row for each shipment of a job. `result` is what the lane answered.
job_items: Final = Table(
    "job_items",
    metadata,
    Column("job_id", String(40), ForeignKey("jobs.id"), primary_key=True),
    Column("message_id", String(80), primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("state", String(10), nullable=False),  # waiting, sent, taken, refused
    Column("decision_id", String(120), nullable=False),
    Column("result", String(80), nullable=False),
    Index(None, "job_id", "state", "ordinal"),
)
