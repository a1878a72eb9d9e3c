"""What words of names say, in the languages of the lists."""

from __future__ import annotations

import pytest
from dataplatform.auto_dw.names import word_lists
from dataplatform.auto_dw.names.compounds import compound, parted
from dataplatform.auto_dw.names.spelling import meant
from dataplatform.auto_dw.names.vocabulary import (
    all_concepts,
    concepts,
    concepts_of,
    head_concepts,
    lead_concepts,
    private_concepts,
)
from dataplatform.auto_dw.names.words import points_to, same_word, says_id, words

SAID = {
    "en": "guestFirstName first_name | GUEST_DOB birth_date | mobile_no mobile | zip_cd postal_code | tenant_name full_name "
          "| home_addr street_address | passportNo passport | hourly_wage pay | qty_shipped quantity | unitprice price",
    "abbreviated": "frst_nm first_name | brth_dt birth_date | cstmr_nm full_name | ntnlty nationality | gndr gender | slry pay "
                   "| pstl_cd postal_code | invc_nmbr invoice | qntty quantity | prnt_id parent",
    "de": "Mieter_Vorname first_name | geb_datum birth_date | Wohnort city | StrasseHausnr street_address | kd_plz postal_code "
          "| Monatsgehalt pay | Rechnungsdatum invoice | Bestellmenge quantity | Steuernummer tax_number | Führerscheinnr licence",
    "nl": "huurder_voornaam first_name | GeboorteDatum birth_date | woonplaats city | straatnaam street_address "
          "| postcode_klant postal_code | brutoloon pay | factuurdatum invoice | aantal_stuks quantity | bsn official_number",
    "fr": "prenom_locataire first_name | date_naissance birth_date | ville_client city | num_rue house_number | code_postal postal_code "
          "| salaire_brut pay | date_facture invoice | qte_commandee quantity | no_secu_sociale official_number | motDePasse password",
    "es": "apellido_huesped last_name | fecha_de_nacimiento birth_date | ciudad_envio city | domicilio street_address "
          "| codigoPostal postal_code | sueldo_mensual pay | fecha_factura invoice | cant_pedida quantity | dni_titular official_number",
    "it": "cognome_ospite last_name | dataNascita birth_date | citta_residenza city | num_civico house_number | cap_cliente postal_code "
          "| stipendio_netto pay | data_fattura invoice | qta_ordinata quantity | codice_fiscale official_number | telefoni phone",
    "pt": "sobrenome_hospede last_name | dt_nascimento birth_date | municipio city | logradouro street_address | cep_cliente postal_code "
          "| salario_base pay | data_fatura invoice | qtd_vendida quantity | cpf_titular official_number | celular mobile",
}  # fmt: skip


@pytest.mark.parametrize("language", SAID)
def test_names_say_their_concept(language: str) -> None:
    for said in SAID[language].split("|"):
        name, concept = said.split()
        assert concept in concepts_of(name), f"{name}: {sorted(concepts_of(name))}"


@pytest.mark.parametrize("name", ["order_id", "candidate", "updated_at", "line_total", "warehouse_code", "Artikelnummer", "id_producto",
                                  "date_commande", "quantita", "template", "is_active", "unit_price"])  # fmt: skip
def test_names_of_things_are_not_private(name: str) -> None:
    assert not concepts_of(name) & private_concepts()


def test_a_phrase_holds_instead_of_its_words() -> None:
    assert "street_address" not in concepts_of("ip_address")
    assert "ip_address" in concepts_of("ipAddress")
    assert concepts(["first", "name"]) >= {"first_name", "name"}


def test_the_noun_stands_at_the_end_or_at_the_beginning() -> None:
    assert "email" not in head_concepts("email_type")
    assert "type" in head_concepts("email_type")
    assert "type" in lead_concepts("tipo_correo")
    assert "email" not in lead_concepts("tipo_correo")


def test_every_word_is_listed_under_a_concept_that_there_is() -> None:
    known = set(all_concepts())
    for language in word_lists.LANGUAGES:
        assert {entry.concept for entry in word_lists.entries(language)} <= known


def test_every_language_has_words_for_all_that_is_private() -> None:
    everywhere = set(private_concepts()) - {
        "ip_address",
        "social_account",
        "sexuality",
        "biometric",
        "secret",
        "geo_position",
    }
    for language in ("en", "de", "nl", "fr", "es", "it", "pt"):
        assert everywhere <= {entry.concept for entry in word_lists.entries(language)}, language


@pytest.mark.parametrize(("word", "parts"), [
    ("kundennummer", ("kunden", "nummer")), ("abteilungsname", ("abteilungs", "name")), ("klantnummer", ("klant", "nummer")),
    ("customerid", ("customerid",)), ("candidate", ("candidate",)), ("module", ("module",)), ("geburtsdatum", ("geburtsdatum",)),
])  # fmt: skip
def test_only_german_and_dutch_words_are_compounds(word: str, parts: tuple[str, ...]) -> None:
    assert compound(word) == parts


@pytest.mark.parametrize(("word", "parts"), [("nomclient", ("nom", "client")), ("fechapedido", ("fecha", "pedido")), ("invoicedate", ("invoice", "date"))])  # fmt: skip
def test_words_written_together_are_parted_in_their_language(word: str, parts: tuple[str, ...]) -> None:
    assert parted(word) == parts


@pytest.mark.parametrize(("column", "table"), [
    ("idHuesped", "huespedes"), ("fk_reserva", "Reservas"), ("cod_articulo", "Articulo"), ("codigo_de_tienda", "tiendas"),
    ("Zimmer_idZimmer", "Zimmer"), ("kamer_nr", "kamers"), ("id_libro", "libri"), ("BuchNr", "Bücher"), ("idFunção", "funções"),
    ("cle_journal", "journaux"), ("persoon_id", "personen"), ("brief_id", "brieven"), ("codice_ospite", "ospiti"), ("Mieternummer", "Mieter"),
])  # fmt: skip
def test_keys_name_their_table(column: str, table: str) -> None:
    assert points_to(column, table) >= 0.9
    assert says_id(column)


@pytest.mark.parametrize(("left", "right"), [("state", "status"), ("order", "orden"), ("cost", "coast"), ("media", "medium"), ("post", "past")])  # fmt: skip
def test_other_words_are_no_forms_of_one(left: str, right: str) -> None:
    assert same_word(left, right) < 0.9


def test_accents_and_other_alphabets() -> None:
    assert words("códigoPaís") == ("codigo", "pais")
    assert words("Straße_Größe") == ("strasse", "grosse")
    assert words("имя_клиента") == ("имя", "клиента")


def test_core_data_names_lose_their_z() -> None:
    found = meant({"ZACCOUNT": ["Z_PK", "ZUSERNAME", "ZACCOUNTTYPE", "ZOWNER"], "ZACCOUNTTYPE": ["Z_PK", "ZNAME"],
                   "Z_2TAGS": ["Z_2ACCOUNTS", "Z_3TAGS"], "ZTAG": ["Z_PK", "ZNAME"], "ZCOREUSER": ["ZFAMILYNAME", "ZACCOUNTID"]})  # fmt: skip
    assert found["ZACCOUNT"].table == "account"
    assert found["ZACCOUNT"].columns["ZACCOUNTTYPE"] == "account_type"
    assert words(found["Z_2TAGS"].columns["Z_3TAGS"]) == ("tag",)
    assert found["Z_2TAGS"].table == "tags_link"
    assert (found["ZCOREUSER"].table, found["ZCOREUSER"].columns["ZACCOUNTID"]) == ("core_user", "account_id")


@pytest.mark.parametrize(("name", "thing"), [
    ("Gaeste", "guest"), ("Bücher", "book"), ("Aerzte", "doctor"), ("Abteilungen", "department"), ("huizen", "building"), ("lessen", "course"),
    ("journaux", "log"), ("animaux", "animal"), ("habitaciones", "room"), ("ordini", "order"), ("medici", "doctor"),
    ("estações", "station"), ("imóveis", "building"), ("categories", "category"),
])  # fmt: skip
def test_plurals(name: str, thing: str) -> None:
    assert thing in concepts_of(name)


def test_no_word_has_a_digit_since_names_lose_theirs() -> None:
    for language in word_lists.LANGUAGES:
        assert not [word for word in word_lists.single_words(language) if any(map(str.isdigit, word))]
