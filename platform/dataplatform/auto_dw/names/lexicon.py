"""Words that names are made of, in groups that mean something to auto_dw. English, and common short forms."""

from __future__ import annotations

_AMBIGUOUS = frozenset(["strt", "accnt"])  # start and street; account and account number


def squeezed(word: str) -> str:
    """`supervisor` → `sprvs`: the commonest way to shorten a word is to leave out its vowels."""
    return (word[:1] + "".join(c for c in word[1:] if c not in "aeiou"))[:5]


def _set(text: str) -> frozenset[str]:
    """The words, and their short forms where those are long enough to tell."""
    found = text.split()
    short = (squeezed(w) for w in found if 4 <= len(w) <= 10 and len(squeezed(w)) >= 3)
    return frozenset([*found, *(w for w in short if w not in _AMBIGUOUS)])


def listed(text: str) -> tuple[str, ...]:
    """Words, as a list that is easy to read."""
    return tuple(text.split())


def _words(text: str) -> frozenset[str]:
    """The words as they are, without short forms."""
    return frozenset(text.split())


IDENTIFIERS = _set(
    "id ids key code cd no nr num number nmbr uuid guid pk fk sk ref oid rowid identifier ident"
) | _words("""nummer numero codigo cod codice clave llave chave chiave cle clef kode sleutel schluessel schlussel
    kennung kennziffer matricola matricule identificador identifiant identificativo nro""")
# what identifies stands first in Romance names and after some prefixes: codigo_cliente, fk_cliente, idCliente
LEADING = _words(
    "id fk pk cd nr cod codigo codice clave cle clef chave chiave llave identifiant identificador"
)
PREFIXES = _set("tbl tb t dim fact fct stg raw src vw lkp lu ref xref")
SUFFIXES = frozenset(["dim", "dimension", "tbl", "table", "tab", "lkp", "lookup", "master", "mst"])
GLUE = frozenset(["to", "of", "by", "in", "on"])
NOUNS = _set("""detail line item header history group category list map link event log entry product store parent child
    first last home work ship bill""")
TAILS = ("price", "cost", "amount", "quantity", "total", "date", "name", "number", "status", "flag")
ARTICLES = _words("""of the de del della dell delle dei degli di du des da do dos das la le les el los las van von der
    den d""")  # and the like, left out between the words of a name: fecha_de_nacimiento
WITH_NAMES = _words("""person customer employee patient student teacher author player member contact manager owner guest
    driver doctor actor candidate""")  # concepts of people who are called something
OTHER_NAMES = _words(
    "first_name last_name user_name nickname company file"
)  # concepts of names that are not full names
LINKS = _set("has to of by in on for from is the and at as with via x") | _words(
    "de del della du di von van der y et und en"
)
SELF = _set("""parent prnt manager supervisor boss report reports superior previous prev old next original root
    predecessor successor replaces replaced ancestor main master head leader""")
SUPERIORS = _set("manager supervisor boss leader")
STAFF_ROLES = _set("""rep representative salesperson salesman saleswoman clerk cashier consultant technician operator
    instructor dispatcher inspector""")
STAFF = _set("employee staff worker personnel")
ROLES = (
    _set("""creator created owner author user modifier modified updated updater editor edited assignee assigned
    approver approved reviewer reviewed paid payer payee sender receiver recipient requester requested reporter
    submitted manager agent handler deleted member responsible""")
    | STAFF_ROLES
)
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
COORDINATES = _set("latitude longitude lat lon lng long altitude coordinate")
CALENDAR = _set("year month day week quarter hour date weekday minute period season yr dy wk hr dt mo")
HAPPENS = _set("""sold ordered order shipped paid payment rental rented returned booked occurred happened event recorded
    measured visited posted started ended start end date time at on dt tm""")
SEMI_ADDITIVE = _set("balance stock inventory level population headcount capacity hand quantityonhand onhand")
NOT_ADDITIVE = _set(
    "price rate ratio percent percentage score average avg temperature rating unit age latitude "
    "longitude elevation discount share margin height weight"
)
AUDIT = _set(
    "created updated modified changed inserted deleted last update timestamp ts load version revision rev"
)

# what is private: by itself, in tables about people, or in records about a person
PRIVATE = _set("""email mail emailaddress ssn passport iban bic birth birthdate birthday birthplace dob surname
    firstname lastname fullname forename maiden fname lname username login loginname salary salaries wage payroll
    overtime ip ipaddress phone telephone mobile fax cell cellphone address street addr nickname taxid nin nationality
    licence license hire hired creditcard cardnumber accountnumber""")
NOT_OF_A_PERSON = _set(
    "company product file host display category brand department city country state region group "
    "project role type code event title table column field plugin domain server device"
)
SECRETS = _set("""password passwd pwd secret token apikey privatekey sessionkey otp twofactor totp credential salt
    passphrase""")
SECRET_PARTS = frozenset(
    {(of, "key") for of in _words("api private session auth access license")}
    | {("session", "hash"), ("session", "data")}
    | {(of, "code") for of in _words("verification confirmation recovery backup")}
)
# a name that ends so tells something about a secret, and is none
ABOUT_SECRETS = _set("""type kind expire expiry expiration timestamp date time at policy protection url link status
    state flag billing enabled required change changed attempt count num length hint field attribute rule owner name
    id""")
FACTS = _set("""fact fct transaction sale event log measurement reading entry line detail movement visit click history
    stat statistic""")
HAPPENINGS = _set("""order invoice payment expense purchase rental booking reservation shipment delivery transfer
    donation refund return appointment trip workout call ticket issue incident request message post comment review vote
    interview reading attempt alert notification reminder commit change search query report result response complaint
    claim prescription diagnosis treatment observation inspection shift attendance enrollment loan bid trade deposit
    withdrawal charge inventory stock allergy vaccination submission reply download upload""")
# tables by which a program works: caches, settings, logins; they tell of nothing outside it
TECHNICAL = _set("""cache config configuration setting metadata meta token session migration version lock queue index
    key credential secret preference option parameter template layout filter dashboard widget sequence schema sync
    dictionary plugin extension permission policy cookie code sso oauth nonce state info backup temp tmp job worker
    embedding search saved feature flag alias""")
COUNTING = _words("id nr no num number nummer numero")  # google_id says what google says
# a column that begins so asks whether, not how much: `is_paid`
QUESTIONS = _set("""is has have can could may must should require required need allow allowed enable enabled disable
    disabled show hide use accept""")
# and so a switch or a counter, whatever it is about
ASKING = QUESTIONS | _set("""requires needs allows send enables hidden uses accepts auto num count total max min failed
    default verified""")
LOOKUPS = _words("lookup lkp lu code enum type status kind")
