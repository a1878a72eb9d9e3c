"""Concepts of names (names/vocabulary.py) in groups that a judgement looks at: which ones count is learned."""

from __future__ import annotations

from collections.abc import Mapping

from dataplatform.auto_dw.names.lexicon import listed

OF_KEYS = listed("""id code number guid key name title label description type status flag position level date time year
    count amount value text language line_number version created parent email url hash currency country user_name""")
OF_REFERENCES = listed("""id code number name title description type status flag position level count amount quantity
    price year date value parent previous person responsible language country currency version user_name url score
    size""")
OF_NUMBERS = frozenset(
    listed("""id code number position level date time year month day hour minute start end duration amount price cost
    tax discount fee balance total average minimum maximum quantity count rate percent measure size score weight width
    height length area volume speed distance elevation capacity version audit status type flag value line_number
    parent created updated postal_code color hash setting binary default""")
)
# columns by which rows are people
PERSONAL = frozenset(
    listed("""first_name last_name full_name birth_date gender marital_status email phone street_address
    official_number""")
)
PEOPLE = frozenset(
    listed("""person customer employee user patient student teacher author player member contact supplier owner guest
    driver doctor actor candidate organiser family""")
)
# private whoever it is told of
STRONG = frozenset(
    listed("""first_name last_name full_name nickname user_name birth_date birth_place email phone fax mobile
    street_address house_number official_number tax_number passport licence insurance ip_address social_account
    bank_account card_number pay health picture signature biometric religion ethnicity politics sexuality
    disability""")
)
# private where a person is told of
WEAK = frozenset(
    listed("""person_title gender age death_date marital_status family_member nationality postal_code city region
    device_id geo_position vehicle_plate bank_code card_expiry body job_title education hire_date termination
    free_text""")
)
# private whoever it is told of, if it is the noun of the name
OWN = frozenset(
    listed("""first_name last_name user_name birth_date email phone fax mobile official_number tax_number passport
    ip_address bank_account card_number""")
)
# private of people alone, and of what belongs to them
NEAR_PEOPLE = frozenset(
    listed("""full_name street_address house_number insurance pay health signature biometric religion ethnicity politics
    sexuality disability birth_place""")
)
# private in tables of people alone: much that belongs to them has pictures and places of its own
HIS = frozenset(
    listed("nickname licence social_account picture death_date family_member geo_position hire_date body")
)
# what numbers can say, and what days can
BY_NUMBERS = frozenset(
    listed("""phone fax mobile official_number tax_number passport licence insurance ip_address bank_account card_number
    social_account house_number birth_date""")
)
MEASURED = frozenset(listed("pay age body health geo_position"))
AILING = frozenset(listed("illness medicine treatment health"))
WORDED = frozenset(listed("first_name last_name full_name nickname street_address"))
BY_DAYS = frozenset(listed("birth_date death_date hire_date termination"))
NO_PERSONS = frozenset(listed("supplier family organiser company owner user_group"))
RESULTS = frozenset(listed("code name description value measure"))
ILL = frozenset(listed("illness medicine treatment recipe health body"))
PLAIN = frozenset(listed("name description code value amount type"))
LABELS = frozenset(listed("name title label"))
AMOUNTS = frozenset(
    listed("amount price cost total quantity count balance measure rate fee tax discount average duration")
)
WRITTEN = frozenset(listed("created updated deleted"))
OF_A_PERSON = frozenset(listed("first_name last_name full_name birth_date gender"))
WHERE = frozenset(listed("street_address city postal_code country"))
TABLES: Mapping[str, frozenset[str]] = {
    "happening": frozenset(
        listed("""event log measurement visit booking movement shipment message notification order order_line cart
    invoice payment transaction vote review answer match loan expense quote enrollment flight task stock reminder
    illness treatment""")
    ),
    "people": PEOPLE | {"manager", "company"},
    "listed": frozenset(listed("lookup type category status language currency unit tag level role")),
    "technical": frozenset(
        listed("setting session migration permission version translation job token default source")
    ),
    "link": frozenset(listed("link history")),
    "place": frozenset(listed("zone place building room address country city region station airport route")),
}
TOLD_OF_TABLES = frozenset(
    listed("""customer employee user product order order_line payment transaction account event log measurement visit
    message comment tag group role permission setting session migration translation link history lookup type status
    category country city address calendar team department project task file media version date level name
    language""")
)
