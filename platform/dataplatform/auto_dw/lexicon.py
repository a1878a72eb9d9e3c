"""Words that names are made of, in groups that mean something to auto_dw. English, and common short forms."""

from __future__ import annotations


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


IDENTIFIERS = _set(
    "id ids key code cd no nr num number nmbr uuid guid pk fk sk ref oid rowid identifier ident"
)
PREFIXES = _set("tbl tb t dim fact fct stg raw src vw lkp lu ref xref")
LINKS = _set("has to of by in on for from is the and at as with via x")
SELF = _set("""parent prnt manager supervisor boss report reports superior previous prev old next original root
    predecessor successor replaces replaced ancestor main master head leader""")
ROLES = _set("""creator created owner author user modifier modified updated updater editor edited assignee assigned
    approver approved reviewer reviewed paid payer payee sender receiver recipient requester requested reporter
    submitted manager agent handler deleted member responsible""")
PEOPLE = _set("""user person people employee staff member participant customer client contact account author patient
    student teacher player agent worker child parent guest subscriber applicant candidate doctor nurse actor
    driver passenger tenant resident citizen lead attendee profile usr emply prtcp mmbr cstmr prsn""")
NAMING = _set("name code key abbreviation abbrv token number symbol option slug title")
MEASURES = _set("""amount price cost total count quantity qty rate percent percentage value score weight height length
    duration balance salary size area population ratio avg sum min max discount freight revenue profit margin
    budget fee charge payment paid hours minutes seconds units stock volume capacity depth width distance speed
    temperature temp elevation rating points votes share shares tax gross net interest due income sales overtime
    amt qnty prc cst ttl""")
NO_REFERENCE = _set("""amount price cost total count quantity qty rate percent percentage value score weight height
    length year month day hour minute week quarter duration balance salary size position order sort rank level flag
    version status state type active enabled priority age number num seq sequence latitude longitude area population
    hidden default is has show date time units unit ratio discount limit color width depth points elevation""")
CALENDAR = _set("year month day week quarter hour date weekday minute period season")
SEMI_ADDITIVE = _set("balance stock inventory level population headcount capacity hand quantityonhand onhand")
NOT_ADDITIVE = _set("price rate ratio percent percentage score average avg temperature rating unit age latitude "
                    "longitude elevation discount share margin height weight")  # fmt: skip
AUDIT = _set(
    "created updated modified changed inserted deleted last update timestamp ts load version revision rev"
)
