"""What the pages say, in Danish and English: words for states, times, numbers, and the sentences of templates.

Templates are written in Danish; `ENGLISH` holds the other language beside each sentence, and a test finds a sentence
that is missing. Status words are those of spec 06 §3.3 with 00 §5.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from streams.words.codes import NOTICES, Notice
from streams.words.times import danish


class StatusWord(NamedTuple):
    """How a status is shown: never by its colour alone (06 §3.6)."""

    danish: str
    english: str
    icon: str
    tone: str  # ok, wait, warn, bad, quiet


STATUSES: Final = {
    "received": StatusWord("Modtaget fra sygehus", "Received from hospital", "↓", "wait"),
    "created": StatusWord("Dannet", "Notification created", "○", "wait"),
    "sent": StatusWord("Afsendt – afventer kvittering", "Sent – waiting for receipt", "→", "wait"),
    "overdue": StatusWord("Kvittering mangler", "Receipt missing", "!", "warn"),
    "resent": StatusWord("Genafsendt", "Resent", "↻", "warn"),
    "delivered": StatusWord("Kvitteret", "Receipt OK", "✓", "ok"),
    "rejected": StatusWord("Afvist af modtager", "Rejected by recipient", "✕", "bad"),
    "transient": StatusWord("Midlertidig fejl hos modtager", "Temporary fault at recipient", "~", "warn"),
    "given_up": StatusWord("Opgivet – kræver handling", "Given up – action needed", "✕", "bad"),
    "undeliverable": StatusWord("Kunne ikke afleveres", "Could not be delivered", "✕", "bad"),
    "sent-without-receipt": StatusWord(
        "Afsendt – modtager kvitterer ikke", "Sent – recipient gives no receipts", "→", "quiet"
    ),
    "stopped": StatusWord("Standset – kan ikke behandles", "Stopped – cannot be processed", "■", "bad"),
    "not_subject": StatusWord("Ikke omfattet", "No notification required", "–", "quiet"),
}

HEALTH: Final = {
    "ok": StatusWord("OK", "OK", "✓", "ok"),
    "slow": StatusWord("Langsom", "Slow", "◷", "warn"),
    "rejecting": StatusWord("Afviser", "Rejecting", "✕", "bad"),
    "silent": StatusWord("Svarer ikke", "Not answering", "!", "bad"),
    "paused": StatusWord("Sat på pause", "Paused", "‖", "quiet"),
    "none": StatusWord("Ingen forsendelser", "No shipments", "·", "none"),
}

FORMATS: Final = {"fhir": "FHIR", "oioxml": "OIOXML", "edifact": "EDIFACT", "": "–"}

#: Danish sentence of a template -> English.
ENGLISH: Final = {
    "Overblik": "Overview",
    "Forsendelser": "Shipments",
    "Modtagere": "Recipients",
    "Kræver handling": "Needs action",
    "Tidstro": "Timeliness",
    "Afstemning": "Balance",
    "Parathed": "Readiness",
    "Gå til indhold": "Skip to content",
    "Hovedmenu": "Main menu",
    "Sprog": "Language",
    "Udseende": "Appearance",
    "Periode": "Period",
    "Kopieret": "Copied",
    "Der er ingen åben sag": "There is no open case",
    "Lyst": "Light",
    "Mørkt": "Dark",
    "Automatisk": "Automatic",
    "Demo – kun testpersoner. Uret går 600 gange for hurtigt, og intet sendes til nogen.": (
        "Demo – test persons only. The clock runs 600 times too fast, and nothing is sent to anyone."
    ),
    "Tider er dansk tid ({zone}). Ingen personoplysninger vises her.": (
        "Times are Danish time ({zone}). No personal data is shown here."
    ),
    "1 t": "1 h",
    "I dag": "Today",
    "7 dage": "7 days",
    "30 dage": "30 days",
    "Opdateret {at} – forsinkelse {lag}": "Updated {at} – delay {lag}",
    "Endnu intet læst fra emnerne.": "Nothing has been read from the topics yet.",
    "Tallene er {lag} forsinkede. Behandlingen kører.": "The figures are {lag} late. Processing continues.",
    "Hændelser": "Events",
    "modtaget": "received",
    "omfattet": "notified",
    "ikke omfattet": "not subject",
    "dubletter": "duplicates",
    "standset": "stopped",
    "venter": "waiting",
    "afvist ved modtagelsen": "refused at intake",
    "forventet": "expected",
    "kvitteret": "acknowledged",
    "afvist": "rejected",
    "opgivet": "given up",
    "ikke afleveret": "undelivered",
    "uden krav om kvittering": "without required receipt",
    "åbne": "open",
    "difference": "difference",
    "Genberegnet fra emnerne {at}: difference {n}": "Recomputed from the topics {at}: difference {n}",
    "Endnu ikke genberegnet fra emnerne.": "Not yet recomputed from the topics.",
    "Kvittering mangler": "Receipt missing",
    "ældste {age}": "oldest {age}",
    "ingen": "none",
    "standset hos os, afvist eller opgivet": "stopped with us, rejected or given up",
    "Modtagere med problemer": "Recipients with problems",
    "af {n}": "of {n}",
    "Tid til kvittering": "Time to receipt",
    "median / 95 %": "median / 95 %",
    "median {median} · 95 % {slowest}": "median {median} · 95 % {slowest}",
    "Forsendelser og kvitteringer": "Shipments and receipts",
    "Afsendt": "Sent",
    "Kvitteret": "Acknowledged",
    "Mangler kvittering": "Gap",
    "Formater": "Formats",
    "Kommunernes overgang til FHIR": "The municipalities' transition to FHIR",
    "Fordelt på ventetid": "By waiting time",
    "Største problemer nu": "Largest problems now",
    "Kommune": "Municipality",
    "Problem": "Problem",
    "Siden": "Since",
    "Berørte": "Affected",
    "Svarer ikke: {n} forsendelser uden kvittering, ældste {age}.": (
        "Not answering: {n} shipments without receipt, oldest {age}."
    ),
    "Ingen problemer. Alle forsendelser i perioden er kvitteret eller inden for fristen.": (
        "No problems. All shipments in the period are acknowledged or within the deadline."
    ),
    "Kommunerne": "The municipalities",
    "Status": "Status",
    "Hændelse": "Event",
    "Sygehus": "Hospital",
    "Modtager": "Recipient",
    "Hændelsestid": "Event time",
    "Kvitteret efter": "Receipt after",
    "Forsøg": "Attempts",
    "Meddelelses-id": "Message id",
    "Søg på meddelelses-id, kuvert-id, indlæggelses-id, kvitterings-id eller trace-id": (
        "Search by message id, envelope id, stay id, receipt id or trace id"
    ),
    "Aldrig CPR-numre her: adressen gemmes i browserens historik.": (
        "Never CPR numbers here: the address is kept in the browser's history."
    ),
    "Filtre": "Filters",
    "Alle": "All",
    "Afvist": "Rejected",
    "Genafsendt": "Resent",
    "Åbne": "Open",
    "Opgivet": "Given up",
    "Format": "Format",
    "Fra": "From",
    "Til": "Until",
    "Forsøg, mindst": "Attempts, at least",
    "Uden kvittering i mere end (minutter)": "Without receipt for more than (minutes)",
    "Vis": "Show",
    "Nulstil": "Reset",
    "Næste side": "Next page",
    "Første side": "First page",
    "Hent CSV": "Download CSV",
    "Hent JSON": "Download JSON",
    "Ikke fundet i de sidste 90 dage (opbevaringsgrænse)": "Not found in the last 90 days (retention limit)",
    "Ingen forsendelser passer til filteret.": "No shipments match the filter.",
    "{field}: {value} kan ikke læses. {remedy}": "{field}: {value} cannot be read. {remedy}",
    "Tidslinje": "Timeline",
    "Kvitteringer": "Receipts",
    "Ingen kvittering er modtaget endnu.": "No receipt has been received yet.",
    "Numre": "Identifiers",
    "Samme ophold": "The same stay",
    "Ingen andre meddelelser om samme ophold.": "No other messages about the same stay.",
    "denne": "this one",
    "Genafsend": "Resend",
    "Marker som håndteret manuelt": "Mark as handled by hand",
    "Sæt på pause": "Pause",
    "Genoptag": "Resume",
    "Begrundelse": "Reason",
    "Afventer – frist {at}": "Waiting – deadline {at}",
    "Allerede kvitteret": "Already acknowledged",
    "Afvist med fatal-error: samme indhold må ikke genafsendes": (
        "Rejected with fatal-error: the same content must not be resent"
    ),
    "Modtager kvitterer ikke; der er intet at vente på": "The recipient gives no receipts; there is nothing to wait for",
    "Er endnu ikke afsendt": "Not sent yet",
    "Meddelelsen sendes igen med nyt kuvert-id; meddelelses-id er uændret.": (
        "The message is sent again with a new envelope id; the message id is unchanged."
    ),
    "Sagen lukkes. Intet sendes til kommunen.": "The case is closed. Nothing is sent to the municipality.",
    "Meddelelser gemmes og sendes ved genoptagelse; fristen regnes først fra afsendelsen.": (
        "Messages are kept and sent on resume; the deadline counts only from sending."
    ),
    "Gemte meddelelser sendes nu; fristen regnes fra afsendelsen.": (
        "Kept messages are sent now; the deadline counts from sending."
    ),
    "Handlinger": "Actions",
    "Du har ikke adgang til handlinger her.": "You have no access to actions here.",
    "Tekst til support": "Text for support",
    "Kopiér": "Copy",
    "Afdeling": "Department",
    "Tid": "Time",
    "Udfald": "Outcome",
    "Grund": "Reason",
    "Svar": "Answer",
    "Helbred": "Health",
    "Åbne nu": "Open now",
    "Ældste uden kvittering": "Oldest without receipt",
    "Kvitteret 24 t": "Acknowledged 24 h",
    "Afvist 24 t": "Rejected 24 h",
    "Median": "Median",
    "95 %": "95 %",
    "Seneste kvittering": "Latest receipt",
    "Ingen modtagere passer til filteret.": "No recipients match the filter.",
    "Det venter på jer": "Waiting for you",
    "Intet venter. Alt er kvitteret.": "Nothing is waiting. Everything is acknowledged.",
    "Afvisninger": "Rejections",
    "Meddelelser, kommunen har afvist de sidste 30 dage": "Messages the municipality rejected in the last 30 days",
    "Ingen afvisninger de sidste 30 dage.": "No rejections in the last 30 days.",
    "Antal": "Count",
    "Første": "First",
    "Seneste": "Latest",
    "Eksempel": "Example",
    "Modtagne kvitteringer": "Receipts received",
    "Kvittering henviser til ukendt meddelelses-id": "Receipt refers to an unknown message id",
    "Pauser og formater": "Pauses and formats",
    "Ingen beslutninger om denne kommune.": "No decisions about this municipality.",
    "Sat på pause siden {at}": "Paused since {at}",
    "Standset hos os": "Stopped with us",
    "Afvist eller opgivet": "Rejected or given up",
    "Intet er standset.": "Nothing is stopped.",
    "Ingen åbne sager.": "No open cases.",
    "Årsag": "Cause",
    "Led": "Stage",
    "Hvad kan du gøre": "What you can do",
    "Hvor længe efter hændelsen blev den registreret, afsendt og kvitteret? Median; 95 % i tallene.": (
        "How long after the event was it registered, sent and acknowledged? Median; 95 % in the figures."
    ),
    "Hændelse → registreret": "Event → registered",
    "Registreret → afsendt": "Registered → sent",
    "Afsendt → kvitteret": "Sent → acknowledged",
    "Akutte ophold åbne over {hours} t": "Acute stays open over {hours} h",
    "Ingen forsendelser i perioden.": "No shipments in the period.",
    "Alt, hvad der er modtaget, har en skæbne. Hvert tal er læst af posterne selv.": (
        "Everything received has a fate. Every number is read from the records themselves."
    ),
    "Regnestykke": "Equation",
    "Led i regnestykket": "Terms",
    "Sum": "Sum",
    "Den uafhængige genberegning": "The independent recomputation",
    "Hvem modtager hvad, og siden hvornår?": "Who receives what, and since when?",
    "Modtager nu": "Receives now",
    "Skifter": "Changes",
    "Set de sidste 24 t": "Seen in the last 24 h",
    "Ikke tilmeldt": "Not enrolled",
    "FHIR-klar": "Ready for FHIR",
    "Brev": "Letter",
    "Job": "Job",
    "Fremdrift": "Progress",
    "{done} af {all} behandlet": "{done} of {all} done",
    "Resultat": "Result",
    "Siden findes ikke": "There is no such page",
    "Kontrollér adressen, eller søg efter forsendelsen.": "Check the address, or search for the shipment.",
    "Live": "Live",
    "Region": "Region",
    "Alle tal er for den valgte periode; forsendelser tælles fra de blev dannet.": (
        "All figures are for the chosen period; shipments count from when they were created."
    ),
    "Se listen": "See the list",
}

#: Terms of the equations of 00 §5, as people read them in Danish; in English they stand as they are.
TERMS: Final = {
    "events received": "hændelser modtaget",
    "accepted": "godtaget",
    "notifications made": "meddelelser dannet",
    "notifications": "forsendelser",
    "open": "åbne",
    "receipts received": "kvitteringer modtaget",
    "refused": "afvist ved modtagelsen",
    "duplicates": "dubletter",
    "not-subject": "ikke omfattet",
    "stopped": "standset",
    "waiting": "venter",
    "converted": "omfattet",
    "of converted events": "af omfattede hændelser",
    "delivered": "kvitteret",
    "rejected": "afvist",
    "undeliverable": "ikke afleveret",
    "given-up": "opgivet",
    "sent-without-receipt": "uden krav om kvittering",
    "created": "dannet",
    "sent": "afsendt",
    "resent": "genafsendt",
    "transient": "midlertidig fejl",
    "timed-out": "kvittering mangler",
    "first verdicts": "første svar",
    "repeated": "gentaget",
    "conflicting": "modstridende",
    "stale": "forældet",
    "unmatched": "uden meddelelse",
    "unreadable": "ulæselig",
    "quarantined": "i karantæne",
    "waiting-for-recheck": "venter på ny kontrol",
}


class Text:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = "en" if language == "en" else "da"

    def __call__(self, sentence: str, **values: object) -> str:
        """A sentence of a template in this language, with its values."""
        found = ENGLISH[sentence] if self.language == "en" else sentence
        return found.format(**values) if values else found

    def of(self, word: StatusWord) -> str:
        """The label of a state."""
        return word.english if self.language == "en" else word.danish

    def status(self, code: str, attempts: int = 0) -> str:
        """The label of a status; of a resend with its number."""
        if code == "resent" and attempts > 1:
            joined = "of" if self.language == "en" else "af"
            return f"{self.of(STATUSES[code])} ({attempts - 1} {joined} 2)"
        return self.of(STATUSES[code]) if code in STATUSES else code

    def notice(self, code: str) -> str:
        """The published designation of a notice (01 §9); a code that is none stays as it is."""
        if code not in Notice.__members__:
            return code
        row = NOTICES[Notice(code)]
        return row.english if self.language == "en" else row.danish.replace(" - ", " – ")

    def term(self, name: str) -> str:
        """A term of the balance."""
        return name if self.language == "en" else TERMS.get(name, name)

    def number(self, n: float) -> str:
        """A whole number with its thousands apart."""
        return f"{n:,.0f}" if self.language == "en" else f"{n:,.0f}".replace(",", ".")

    def duration(self, length: timedelta | float | None) -> str:
        """A length of time in one unit (06 §3.6); "–" for none."""
        if length is None:
            return "–"
        seconds = length.total_seconds() if isinstance(length, timedelta) else length
        sign, seconds = ("−" if seconds < 0 else ""), abs(seconds)
        for bound, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "t")):
            if seconds < bound:
                value = seconds / size
                text = f"{value:.1f}" if value < 10 and unit != "min" else f"{value:.0f}"
                break
        else:
            text, unit = f"{seconds / 86400:.0f}", "d"
        text = text.removesuffix(".0")
        if self.language == "en":
            return f"{sign}{text} {'h' if unit == 't' else unit}"
        return f"{sign}{text.replace('.', ',')} {unit}"

    def clock(self, at: datetime | None, now: datetime) -> str:
        """Danish local time; with the day when it is another one than today's."""
        if at is None:
            return "–"
        local = danish(at)
        return f"{local:%H:%M:%S}" if local.date() == danish(now).date() else f"{local:%d.%m. %H:%M}"

    def exact(self, at: datetime) -> str:
        """The instant in Danish time with its zone, and in UTC."""
        return f"{danish(at):%Y-%m-%d %H:%M:%S %Z} · {at.astimezone(UTC):%H:%M:%S} UTC"

    def ago(self, at: datetime | None, now: datetime) -> str:
        """How long ago, or in how long."""
        if at is None:
            return "–"
        length = self.duration(abs(now - at))
        if at > now:
            return f"in {length}" if self.language == "en" else f"om {length}"
        return f"{length} ago" if self.language == "en" else f"for {length} siden"
