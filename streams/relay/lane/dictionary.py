"""What rows of lanes have in common, so that it need not stand in each (docs/decisions/0048).

Names of fields in the order of a row, and values that come again; nothing of any person, hospital or municipality. It is
read as one with every row, so it is never changed: a better one gets a number of its own, and rows name theirs.
"""

from typing import Final

import msgspec

_PARTS: Final = """
[{"ordinal": 1, "links": [[{"message_id": "", "provenance_id": "", "notice": "STIN", "activity": "admit-inpatient",
"occurred": "", "agent": {"sor": "", "gln": "", "name": ", Medicinsk", "hospital": "", "hospital_name": "",
"department": "", "unit": "", "shak": "", "region_code": "1"}}, -1]], "visits": {"": {"id": "", "lane": "", "feed":
"", "number": "", "patient": {"cpr": "", "family": "", "given": [""]}, "residence": "0", "units": [{}], "stay":
{"hospital": "", "unit": 0, "episode": [{"system": "https://sor2.sum.dsdn.dk/#id=", "value": ""}], "chain": [["",
"", "STIN", "admit-inpatient", "", "", "", 0]], "sent": [["STIN", "IMP", "", "admit-inpatient", "", "0", false]],
"report": true}, "chains": 1, "snapshot": {"start_time": "", "class_": "IMP", "department": "", "cpr": "",
"residence": "0"}, "seen": [""], "last": "", "touched": ""}}, "deliveries": {"": {"message_id": "", "lane": "",
"visit": "", "event_id": "", "label": "STIN", "activity": "admit-inpatient", "sender": {}, "address":
{"kommunekode": "0", "topic": "municipality.0.inbox", "receiver": {"sor": "", "gln": "", "name": "Sygehusadviser"},
"receivers": [""], "format": "fhir-json", "version": "3.0", "ack_timeout_s": 1800, "retry_pauses_s": [5, 15, 60,
300], "memory_s": 2592000}, "created": "", "state": "ACKED_OK", "attempts": [{"envelope_id": "", "transport_id": "",
"sent": ""}], "verdict": "ok", "verdict_at": "", "ack_message_id": "", "changes": 3, "recorded": "", "arrivals":
["receipts.raw/0/"], "finished": ""}}}, {"deadline": "", "changes": 2, "content": {"data": "", "last": 0,
"checksum": 0}, "retry": "", "refused": "", "refusals": 1, "late": true, "case": {"reason": "timeout", "opened": "",
"closed": "", "closing": ""}, "counts": {"duplicate": 1, "conflict": 1, "transient": 1}}, {"notice": "STIN",
"message_id": "", "lane": "", "visit": "", "ordinal": 0, "event_id": "", "assembled": "", "class_": "IMP", "status":
"in-progress", "start": "", "patient": {"cpr": "", "family": "", "given": [""]}, "sender": {}, "provider": {},
"report_of_admission": true, "report_recipient": {}, "episode": [{"system": "https://sor2.sum.dsdn.dk/#id=",
"value": ""}], "to": "0", "chain": [], "leave_start": "", "leave_end": "", "end": ""}]
"""

DICTIONARY: Final = b"".join(map(msgspec.msgpack.encode, msgspec.json.decode(_PARTS)))
