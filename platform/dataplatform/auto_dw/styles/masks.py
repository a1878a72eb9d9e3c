"""What a mask leaves of a private value, by what it is: the domain of an address, the year of a birth, an initial."""

from __future__ import annotations

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.look.shapes import EMAIL, FIRST_NAME, FULL_NAME, IBAN, LAST_NAME, PERSON, PHONE
from dataplatform.auto_dw.names.vocabulary import concepts_of

# kinds of private values
ADDRESS, TELEPHONE, NAME, DAY, POSTCODE, AMOUNT, TEXT = (
    "e-mail address", "telephone number", "name", "date", "postal code", "number", "text",
)  # fmt: skip
_CONCEPTS = (
    (ADDRESS, frozenset(["email"])),
    (TELEPHONE, frozenset(["phone", "fax", "mobile"])),
    (POSTCODE, frozenset(["postal_code"])),
    (NAME, frozenset(["first_name", "last_name", "full_name"])),
)
_SHAPES = ((ADDRESS, (EMAIL,)), (TELEPHONE, (PHONE,)), (NAME, (PERSON, FULL_NAME, FIRST_NAME, LAST_NAME)))
_MOST = 0.5  # share of the values that look so
_NOT_A_NAME = frozenset(["user_name", "nickname", "free_text", "picture", "street_address"])


def kind_of(column: ColumnProfile) -> str:
    """What its values are, as far as masks care."""
    if column.kind in (kinds.DATE, kinds.TIME):
        return DAY
    if column.kind in kinds.NUMERIC:
        return AMOUNT
    if column.kind != kinds.TEXT or column.shapes.get(IBAN, 0.0) > _MOST:
        return TEXT
    said = concepts_of(column.called)
    named = next((kind for kind, of in _CONCEPTS if said & of), None)
    looks = next((k for k, of in _SHAPES if sum(column.shapes.get(s, 0.0) for s in of) > _MOST), None)
    if ADDRESS in (named, looks):
        return ADDRESS
    return TEXT if said & _NOT_A_NAME and NAME in (named, looks) else named or looks or TEXT


def masked(column: ColumnProfile, value: str) -> str:
    """SQL for what may be seen of a value; null stays null."""
    text = f"{value}::text"
    kind = kind_of(column)
    if kind == ADDRESS:
        domain = f"case when position('@' in {text}) > 1 then '@' || split_part({text}, '@', 2) else '' end"
        return f"left({text}, 1) || '***' || {domain}"
    if kind == DAY:
        return f"case when isfinite({value}) then extract(year from {value})::int end"
    if kind == AMOUNT:
        digits = f"-floor(log(abs({value}::numeric)))::int"
        odd = f"{text} in ('NaN', 'Infinity', '-Infinity')"
        return f"case when {odd} then null when {value} = 0 then 0 else trunc({value}::numeric, {digits}) end"
    return {
        TELEPHONE: f"'***' || right({text}, 2)",
        NAME: f"left({text}, 1) || '.'",
        POSTCODE: f"left({text}, 2) || '***'",
    }.get(kind, f"case when {value} is not null then '***' end")


LEFT = {  # what a mask leaves
    ADDRESS: "the first letter and the domain", TELEPHONE: "the last two digits", NAME: "the initial",
    DAY: "the year", POSTCODE: "the first two characters", AMOUNT: "the first digit", TEXT: "whether there is one",
}  # fmt: skip
