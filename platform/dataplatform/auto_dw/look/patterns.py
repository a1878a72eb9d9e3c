"""Shapes that a pattern or a list tells, value by value. Each check is given stripped text, and is quick."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date

from dataplatform.auto_dw.names.folding import folded
from dataplatform.auto_dw.names.known import countries, country_codes, first_names, last_names, places

Check = Callable[[str], bool]
OLDEST, ADULT = 1900, 18  # the years in which people who are alive were born, and how long ago most were
LONG_AGO = 30  # years: most of what is recorded happened later

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}")
_PHONE = re.compile(r"(?!\d{1,3}(?:\.\d{1,3}){3})(?=.*[\s()/+-])\+?[\d\s().x/-]{7,22}")
_CARD = re.compile(r"(?:\d[ -]?){13,19}")
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|36|38|30[0-5]|6(?:011|4|5)|35|62|50|5[6-9]|6[0-9]")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_PASSWORD = re.compile(r"\$2[abxy]?\$|\$argon2|pbkdf2_|\$[156]\$|\{?SSHA|scrypt:|sha256\$|\$P\$|\$scrypt")
_HASH = re.compile(r"(?:\$2[aby]?\$|\$argon2|pbkdf2_|\$[156]\$|\{?SSHA)|[0-9a-f]{40}|[0-9a-f]{64}")
_PERSON_WORD = re.compile(r"(?:[dlO]['’])?(?=[^a-z])[^\W\d_][^\W\d_]*(?:['’-][^\W\d_]+)*\.?")
_TITLE = re.compile(
    r"^\s*(?:(?:mr|mrs|ms|miss|dra?|prof|herrn?|frau|dhr|mevr|mw|mme|mlle|m|sra?|srta|don|doña|sig|sigra|dott|ing|dipl-ing|mag)"
    r"(?:\.\s*|\s+))+",
    re.IGNORECASE,
)
_BETWEEN = "van von der den de da di do dos das del della la le du des el al bin ibn ben ter ten te zu y e i"
_PARTICLES = frozenset(_BETWEEN.split())
_STREET = re.compile(
    r"(?:str(?:\.|a(?:ß|ss)e|aat)|gasse|weg|platz|allee|damm|ufer|laan|plein|gracht|kade|gatan?|v[äa]gen|vej|veien|tie|katu"
    r"|\b(?:st|street|ave?|avenue|road|rd|lane|ln|drive|dr|blvd|boulevard|court|ct|way|terrace|highway|hwy|parkway|pkwy"
    r"|circle|square|sq|crescent|close|rue|chemin|all[ée]e|impasse|quai|cours|route|calle|c/|avda|avenida|av|paseo|plaza"
    r"|carrera|camino|carretera|via|viale|piazza|corso|largo|rua|travessa|estrada|alameda|pra[çc]a|ulica|ul|al|dijk|pad"
    r"|singel|steeg|p\.?\s?o\.?\s?box|postfach|postbus|apartado)\b)\.?",
    re.IGNORECASE,
)
_HOUSE = re.compile(
    r"[^\W\d_][^\d]{2,},?\s+(?:n[.º°o]*\s?)?\d{1,5}\s?[a-zA-Z]?(?:[-/,\s].{0,40})?|\d{1,5}[a-zA-Z]?,?\s+(?:bis\s|ter\s)?[^\W\d_][^\d]{3,60}.{0,20}"
)
_POSTAL = re.compile(
    r"\d{4}\s?[A-Z]{2}|\d{5}-\d{3,4}|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d|\d{4}-\d{3}"
    r"|\d{3} \d{2}|\d{2}-\d{3}|(?:D|F|CH|A|B|NL|I|E|PT|L)-\d{4,5}"
)
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?:[T ]\d{1,2}:\d{2}.*)?"
)
_YEAR = re.compile(r"\d{4}")
_CLOCK = re.compile(r"[0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:\s?[ap]m)?", re.IGNORECASE)
_COORDINATES = re.compile(
    r"[-+]?\d{1,3}\.\d{3,}\s*[,; ]\s*[-+]?\d{1,3}\.\d{3,}|(?:POINT|SRID).*|\d{1,3}°.*", re.IGNORECASE
)
_MONEY = re.compile(
    r"(?:[$€£¥]|USD|EUR|GBP|CHF|R\$)\s?-?[\d.,' ]+|-?[\d.,' ]+\s?(?:[$€£¥]|USD|EUR|GBP|CHF)"
    r"|-?\d{1,3}(?:[.,]\d{3})*[.,]\d{2}"
)
_PERCENT = re.compile(r"-?\d+(?:[.,]\d+)?\s?%")
_COLOR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3}(?:[0-9a-fA-F]{2})?)?|rgba?\(.*\)")
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?")
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")
_IP = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/32)?|(?=.*:.*:)[0-9a-fA-F:.]{3,45}(?:/128)?")
_NETWORK = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|(?=.*:)[0-9a-fA-F:.]{3,45})/\d{1,3}")
_HEX = re.compile(r"(?=.*\d)[0-9a-fA-F]{16,}")
_URL = re.compile(r"(?:https?|ftp|file|mailto|ws)://?\S+|www\.\S+", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?:[a-z0-9-]+\.)+(?:com|net|org|edu|gov|io|info|eu|de|nl|fr|es|it|pt|uk|us|ch|at|be|br|pl|se|dk|local)",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?:[a-zA-Z]:\\|/|\./|\.\./|~/)[^\n]+|[\w.-]+(?:/[\w.-]+)+")
_FILE = re.compile(
    r"[^/\\\n]{1,120}\.(?:jpe?g|png|gif|svg|pdf|docx?|xlsx?|csv|txt|zip|mp[34]|json|xml|html?|py|js|css|log|bmp|webp|tiff?|avi|mov|wav)",
    re.IGNORECASE,
)
_MIME = re.compile(r"(?:application|text|image|audio|video|multipart|font)/[\w.+-]+")
_AGENT = re.compile(
    r"Mozilla/|Opera/|curl/|Dalvik/|okhttp/|PostmanRuntime|python-requests|[\w-]+/\d[\w.]* \("
)
_JSON = re.compile(r'\s*(?:\{\s*(?:"[^"]*"\s*:.*)?\}|\[.*\])\s*', re.DOTALL)
_HTML = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^>]*)?/?>")
_HANDLE = re.compile(r"@?[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
_COMPANY = re.compile(
    r"(?:\b(?:GmbH|mbH|AG|KG|OHG|UG|Ltd|Limited|Inc|Incorporated|LLC|LLP|Corp|Corporation|Company|PLC|SARL|SAS|SASU|SpA|Srl|Lda|Ltda"
    r"|EIRELI|Oyj?|AB|ASA?|ApS|SE|Pty|BVBA|Cie|Holdings?|Gruppe|Group|Partners|Verlag|Sons)|e\.\s?[VK]|S\.\s?A\.?|S\.\s?L\.?|S\.\s?r\.\s?l"
    r"|S\.\s?p\.\s?A|B\.\s?V|N\.\s?V|A/S|z\s?o\.\s?o|& Co|and Sons|de C\.\s?V)\.?$"
)
_CODE = re.compile(r"(?=.*\d)[A-Z0-9]+(?:[-./_ ][A-Z0-9]+)*|[A-Z][A-Z0-9]{1,5}")
_VERSION = re.compile(r"v?\d+(?:\.\d+){1,3}(?:[-+.]?[a-z]+\d*)?")
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_][A-Z][A-Za-z]{1,3})?")
_BASE64 = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*\d)[A-Za-z0-9+/_-]{20,}={0,2}")
_CENTS = re.compile(r"-?\d+\.\d{2}")
_DEGREES = re.compile(r"-?1?\d{1,2}\.\d{4,}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.:\\ -]{0,60}")
_YES_AND_NO = "y n t f 0 1 j x yes no true false on off ja nein nee oui non si s sim nao o v"
_FLAGS = frozenset(_YES_AND_NO.split())
_MONEYS = """EUR USD GBP CHF JPY CNY AUD CAD SEK NOK DKK PLN CZK HUF RON BGN TRY RUB UAH BRL MXN ARS CLP COP PEN INR IDR
    KRW THB SGD HKD NZD ZAR ILS AED SAR EGP MAD NGN KES PHP MYR VND TWD"""
_CURRENCIES = frozenset(_MONEYS.split())


def full(pattern: re.Pattern[str]) -> Check:
    match = pattern.fullmatch
    return lambda text: match(text) is not None


def some(pattern: re.Pattern[str]) -> Check:
    search = pattern.search
    return lambda text: search(text) is not None


def plain(text: str) -> str:
    return folded(text).lower()


def is_ip(text: str) -> bool:
    if not _IP.fullmatch(text):
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def is_phone(text: str) -> bool:
    return (
        _PHONE.fullmatch(text) is not None
        and 7 <= sum(map(str.isdigit, text)) <= 15
        and not re.match(r"\d{4}-\d\d", text)
    )


def is_card(text: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1), and a number that some network of cards begins with."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(c) for c in text if c.isdigit()]
    return len(set(digits)) > 1 and _CARD_PREFIX.match(text) is not None and luhn(digits)


def luhn(digits: list[int]) -> bool:
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Remainder 1 of 97 (ISO 13616)."""
    compact = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(compact):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _name_words(text: str) -> list[str]:
    """The words of what may be a person's name, the first name first; else nothing."""
    last, comma, first = text.partition(",")
    found = _TITLE.sub("", f"{first} {last}" if comma else text).split()
    right = 2 <= len(found) <= 5 and all(_PERSON_WORD.fullmatch(w) for w in found if w not in _PARTICLES)
    return found if right and found[-1] not in _PARTICLES else []


def is_person(text: str) -> bool:
    """A known first name and one to three more words."""
    found = _name_words(text)
    return bool(found) and plain(found[0].strip(".")) in first_names()


def is_full_name(text: str) -> bool:
    """A known first name and a known last one."""
    found = _name_words(text)
    return bool(found) and plain(found[0]) in first_names() and plain(found[-1]) in last_names()


def is_first_name(text: str) -> bool:
    """Of people: India and Georgia are countries. Many are towns, too: `place` says how many."""
    name = plain(text)
    return name in first_names() and name not in countries()


def is_last_name(text: str) -> bool:
    return plain(text) in last_names()


def is_country(text: str) -> bool:
    return plain(text) in countries()


def is_country_code(text: str) -> bool:
    return len(text) <= 3 and text.upper() in country_codes()


def is_place(text: str) -> bool:
    return plain(text) in places()


def is_street(text: str) -> bool:
    """A word for streets, and a number or few words; `Hauptstr. 12`, `12 rue de la Paix`, `Calle Mayor, 5`."""
    return len(text) <= 100 and _STREET.search(text) is not None and _HOUSE.fullmatch(text) is not None


def is_sentence(text: str) -> bool:
    return text.count(" ") >= 6


def is_long_ago(text: str) -> bool:
    found = _YEAR.search(text)
    return found is not None and OLDEST <= int(found[0]) <= date.today().year - LONG_AGO


def is_born(text: str) -> bool:
    """A date in which somebody who is of age may be born."""
    found = _YEAR.search(text)
    return found is not None and OLDEST <= int(found[0]) <= date.today().year - ADULT


def is_future(text: str) -> bool:
    found = _YEAR.search(text)
    return found is not None and int(found[0]) > date.today().year


is_network = full(_NETWORK)
is_cents = full(_CENTS)
is_degrees = full(_DEGREES)
is_label = full(_LABEL)
is_email = full(_EMAIL)
is_password = some(_PASSWORD)
is_house = full(_HOUSE)
is_postal_code = full(_POSTAL)
is_date = full(_DATE)
is_clock = full(_CLOCK)
is_coordinates = full(_COORDINATES)
is_money = full(_MONEY)
is_percent = full(_PERCENT)
is_color = full(_COLOR)
is_uuid = full(_UUID)
is_mac = full(_MAC)
is_hex = full(_HEX)
is_url = full(_URL)
is_domain = full(_DOMAIN)
is_path = full(_PATH)
is_file = full(_FILE)
is_mime = full(_MIME)
is_user_agent = some(_AGENT)
is_json = full(_JSON)
is_html = some(_HTML)
is_company = some(_COMPANY)
is_code = full(_CODE)
is_version = full(_VERSION)
is_locale = full(_LOCALE)
is_base64 = full(_BASE64)


def is_hash(text: str) -> bool:
    return _HASH.match(text) is not None


def is_handle(text: str) -> bool:
    """`j.doe`, `mueller42`: small letters with a digit or a mark among them."""
    return 3 <= len(text) <= 40 and not text.isalpha() and _HANDLE.fullmatch(text) is not None


def is_name_handle(text: str) -> bool:
    """`jsmith`, `kevinlara`, `jessica66`: names, or a letter and a name, written together."""
    word = plain(text).rstrip("0123456789").strip("._-")
    if not 4 <= len(word) <= 24 or not word.isalpha():
        parts = re.split(r"[._-]+", word)
        return len(parts) == 2 and all(map(_is_part_of_name, parts)) and max(map(len, parts)) > 1
    if not text[-1:].isalpha() and word in first_names():
        return True
    return any(_is_part_of_name(word[:at]) and _is_part_of_name(word[at:]) for at in range(1, len(word)))


def _is_part_of_name(part: str) -> bool:
    return len(part) == 1 or (len(part) > 3 and (part in first_names() or part in last_names()))


def is_small_word(text: str) -> bool:
    """`active`, `anna`: one word in small letters."""
    return text.isalpha() and text.islower()


def is_flag(text: str) -> bool:
    return text.lower() in _FLAGS


def is_letter(text: str) -> bool:
    return len(text) == 1 and text.isalpha()


def is_currency(text: str) -> bool:
    return text in _CURRENCIES


def is_capitalised(text: str) -> bool:
    """Every word begins with a capital letter, as names do."""
    return text.istitle()
