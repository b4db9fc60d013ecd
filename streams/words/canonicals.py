"""Who publishes the standards, and under which addresses: what a message calls itself by (00 §10.2).

The names are identifiers, not places to look at: they stay as the packages print them for as long as the versions that
we write are in force, whoever keeps the standard. When a version with other addresses is taken into use, the address
changes here.
"""

from typing import Final

__all__ = ["AUTHORITY", "EHMI", "FHIR_GUIDES", "FULL_URLS", "TERMINOLOGY"]

#: Who keeps the standards; from 1 January 2027 Digital Sundhed Danmark (00 §10.2). Shown to people, never sent.
AUTHORITY: Final = "MedCom"

#: Profiles and code systems of messages: medcom.fhir.dk.hospitalnotification 3.0, .acknowledgement 2.0, .terminology.
FHIR_GUIDES: Final = "http://medcomfhir.dk/"

#: How `fullUrl` begins (01, 6.6; 00 §3.1).
FULL_URLS: Final = "https://medcomfhir.dk/"

#: Code systems of messages (01 §3; 02 §4).
TERMINOLOGY: Final = f"{FHIR_GUIDES}ig/terminology/CodeSystem/"

#: Profiles and code systems of status events (03 §2).
EHMI: Final = "http://medcomehmi.dk/"
