"""What differs by country: names, places, currencies, VAT rates, the chart of accounts."""

from __future__ import annotations

from dataclasses import dataclass

# Base-currency units for one unit of the currency, in millionths, fixed for all 24 months.
RATES: dict[str, dict[str, int]] = {
    "NOK": {
        "NOK": 1_000_000,
        "SEK": 1_012_500,
        "DKK": 1_562_400,
        "EUR": 11_654_300,
        "USD": 10_712_800,
        "GBP": 13_541_900,
    },
    "SEK": {
        "SEK": 1_000_000,
        "NOK": 987_654,
        "DKK": 1_543_100,
        "EUR": 11_510_200,
        "USD": 10_580_400,
        "GBP": 13_374_700,
    },
    "DKK": {
        "DKK": 1_000_000,
        "NOK": 640_041,
        "SEK": 648_046,
        "EUR": 7_459_600,
        "USD": 6_856_600,
        "GBP": 8_667_400,
    },
}

CURRENCY_NAMES = {
    "NOK": ("Norske kroner", "kr"),
    "SEK": ("Svenska kronor", "kr"),
    "DKK": ("Danske kroner", "kr."),
    "EUR": ("Euro", "€"),
    "USD": ("US dollar", "$"),
    "GBP": ("Pound sterling", "£"),
}

COUNTRY_NAMES = {
    "NO": "Norge",
    "SE": "Sverige",
    "DK": "Danmark",
    "DE": "Tyskland",
    "NL": "Nederland",
    "GB": "Storbritannia",
    "US": "USA",
    "CH": "Sveits",
}

# role | type | Norwegian number and name | Swedish | Danish
_CHART = """
inventory | Asset | 1460 Innkjøpte varer for videresalg | 1460 Lager av handelsvaror | 13010 Varelager
receivable | Asset | 1500 Kundefordringer | 1510 Kundfordringar | 13110 Tilgodehavender fra salg
prepaid | Asset | 1700 Forskuddsbetalt leie | 1710 Förutbetalda hyror | 13210 Forudbetalt husleje
cash | Asset | 1900 Kontanter | 1910 Kassa | 13510 Kasse
bank | Asset | 1920 Bankinnskudd | 1930 Företagskonto | 13520 Bankkonto
bank_eur | Asset | 1921 Bankinnskudd EUR | 1940 Valutakonto EUR | 13530 Valutakonto EUR
equity | Liability | 2050 Annen egenkapital | 2081 Aktiekapital | 14010 Virksomhedskapital
loan | Liability | 2220 Gjeld til kredittinstitusjon | 2350 Skulder till kreditinstitut | 14210 Banklån
payable | Liability | 2400 Leverandørgjeld | 2440 Leverantörsskulder | 14310 Kreditorer
withholding | Liability | 2600 Forskuddstrekk | 2710 Personalskatt | 14410 Skyldig A-skat
vat_out | Liability | 2700 Utgående merverdiavgift | 2611 Utgående moms 25 % | 14510 Salgsmoms
vat_in | Liability | 2710 Inngående merverdiavgift | 2641 Ingående moms | 14520 Købsmoms
social | Liability | 2770 Skyldig arbeidsgiveravgift | 2731 Sociala avgifter | 14610 Skyldigt AM-bidrag
accrued | Liability | 2960 Påløpne kostnader | 2990 Upplupna kostnader | 14710 Skyldige omkostninger
sales_goods | Income | 3000 Salgsinntekt varer | 3001 Försäljning varor 25 % | 1010 Salg af varer
sales_service | Income | 3010 Salgsinntekt tjenester | 3041 Försäljning tjänster | 1020 Salg af ydelser
sales_export | Income | 3100 Salgsinntekt utførsel | 3105 Försäljning export | 1030 Salg eksport
sales_eu | Income | 3120 Salgsinntekt EØS | 3108 Försäljning EU | 1040 Salg EU
sales_other | Income | 3900 Annen driftsinntekt | 3990 Övriga intäkter | 1050 Øvrige indtægter
goods | Expense | 4300 Varekjøp høy sats | 4010 Inköp av varor | 2010 Varekøb
subcontract | Expense | 4500 Fremmedytelser | 4600 Legoarbeten och underentreprenader | 2020 Underleverandører
freight | Expense | 4700 Frakt og spedisjon | 5710 Frakter och försäkringar | 2030 Fragt
salary | Expense | 5000 Lønn til ansatte | 7010 Löner | 3010 Løn
holiday | Expense | 5092 Feriepenger | 7090 Semesterlöneskuld | 3020 Feriepengeforpligtelse
employer_tax | Expense | 5400 Arbeidsgiveravgift | 7510 Arbetsgivaravgifter | 3030 Lønsumsafgift
pension | Expense | 5420 Pensjonsforsikring | 7410 Pensionspremier | 3040 Pension
rent | Expense | 6300 Leie lokaler | 5010 Lokalhyra | 4010 Husleje
power | Expense | 6340 Lys og varme | 5020 El och värme | 4020 El, vand og varme
cleaning | Expense | 6360 Renhold | 5060 Städning | 4030 Rengøring
machines | Expense | 6400 Leie maskiner | 5210 Hyra av maskiner | 4040 Leje af maskiner
tools | Expense | 6540 Verktøy og inventar | 5410 Förbrukningsinventarier | 4050 Småanskaffelser
software | Expense | 6553 Programvare, årlig vedlikehold | 5420 Programvaror | 4060 Software og licenser
repairs | Expense | 6600 Reparasjon og vedlikehold | 5510 Reparation och underhåll | 4070 Vedligeholdelse
audit | Expense | 6701 Revisjonshonorar | 6420 Revisionsarvode | 4080 Revisor
consulting | Expense | 6790 Annen fremmed tjeneste | 6550 Konsultarvoden | 4090 Konsulentbistand
office | Expense | 6800 Kontorrekvisita | 6110 Kontorsmateriel | 4100 Kontorartikler
phone | Expense | 6900 Telefon og bredbånd | 6210 Telekommunikation | 4110 Telefon og bredbånd
fuel | Expense | 7000 Drivstoff | 5611 Drivmedel | 4120 Brændstof
travel | Expense | 7140 Reisekostnad | 5800 Resekostnader | 4130 Rejseomkostninger
advertising | Expense | 7320 Reklamekostnad | 5910 Annonsering | 4140 Annoncer og reklame
insurance | Expense | 7500 Forsikringspremie | 6310 Företagsförsäkringar | 4150 Forsikringer
bank_fee | Expense | 7770 Bankgebyr | 6570 Bankkostnader | 4160 Bankgebyrer
depreciation | Expense | 6010 Avskrivning driftsløsøre | 7832 Avskrivningar | 5010 Afskrivninger
interest | Expense | 8150 Rentekostnad | 8410 Räntekostnader | 6010 Renteudgifter
"""


@dataclass(frozen=True)
class Account:
    """One account of the chart; `role` names its use in every country."""

    role: str
    type: str
    number: str
    name: str


def chart(country: str) -> tuple[Account, ...]:
    """The chart of accounts of NO, SE or DK."""
    column = ("NO", "SE", "DK").index(country) + 2
    accounts = []
    for line in _CHART.strip().splitlines():
        cells = line.split(" | ")
        number, _, name = cells[column].partition(" ")
        accounts.append(Account(cells[0], cells[1], number, name))
    return tuple(accounts)


@dataclass(frozen=True, eq=False)
class Country:
    """One country of the group. `vat` is (code, description, percent); the first is the standard rate."""

    id: str
    currency: str
    companies: tuple[str, ...]
    vat: tuple[tuple[str, str, int], ...]
    suffix: str
    places: tuple[str, ...]  # "postal code/city"
    streets: tuple[str, ...]
    trades: tuple[str, ...]
    bank_type: str
    phone: str
    units: tuple[str, ...]
    departments: tuple[str, ...]
    projects: tuple[str, ...]
    months: tuple[str, ...]
    invoice_text: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


NORWAY = Country(
    id="NO",
    currency="NOK",
    companies=("Eksempelverk Norge AS", "Fjordeksempel Handel AS"),
    vat=(
        ("1", "Inngående/utgående mva høy sats", 25),
        ("11", "Mva middels sats", 15),
        ("13", "Mva lav sats", 12),
        ("0", "Ingen mva", 0),
    ),
    suffix="AS",
    bank_type="BBAN",
    phone="+47",
    invoice_text="Faktura",
    places=_words(
        "0155/Oslo, 5003/Bergen, 7011/Trondheim, 4006/Stavanger, 6002/Ålesund, 9008/Tromsø, "
        "8006/Bodø, 3015/Drammen, 1607/Fredrikstad, 2317/Hamar, 3510/Hønefoss, 6508/Kristiansund"
    ),
    streets=_words(
        "Storgata, Kirkegata, Havnegata, Industriveien, Sjøgata, Brønngata, Ålesundveien, "
        "Fjærevegen, Møllebakken"
    ),
    trades=_words(
        "Rør, Elektro, Bygg, Kontorutstyr, Stål og Sveis, Regnskap, Transport, Renhold, Verktøy, "
        "Sjømat, Datautstyr, Miljøtjenester, Trelast, Båtbyggeri, Kjøleteknikk"
    ),
    units=_words("STK, TIMER, KG, M, ESK"),
    departments=_words(
        "Administrasjon, Salg, Innkjøp, Produksjon, Lager, Service, IT, Økonomi, Utvikling, Markedsføring"
    ),
    projects=_words(
        "Ingen, Nytt lager Ålesund, Vindpark Ørland, Skoleutbygging, Båtservice, Digitalisering, "
        "Kjølehus Bodø, Rådgivning"
    ),
    months=_words(
        "januar, februar, mars, april, mai, juni, juli, august, september, oktober, november, desember"
    ),
)

SWEDEN = Country(
    id="SE",
    currency="SEK",
    companies=("Exempelbolaget Sverige AB", "Sjöexempel Handel AB"),
    vat=(("25", "Moms 25 %", 25), ("12", "Moms 12 %", 12), ("06", "Moms 6 %", 6), ("00", "Momsfritt", 0)),
    suffix="AB",
    bank_type="BANKGIRO",
    phone="+46",
    invoice_text="Faktura",
    places=_words(
        "111 22/Stockholm, 411 03/Göteborg, 211 20/Malmö, 753 20/Uppsala, 702 11/Örebro, 721 "
        "30/Västerås, 852 30/Sundsvall, 903 26/Umeå, 972 31/Luleå, 351 04/Växjö, 553 16/Jönköping"
    ),
    streets=_words(
        "Storgatan, Kungsgatan, Hamngatan, Industrivägen, Sjövägen, Åkergatan, Östra Järnvägsgatan, "
        "Björkvägen"
    ),
    trades=_words(
        "Rör, El, Bygg, Kontorsmaterial, Stål, Redovisning, Åkeri, Städ, Verktyg, Livsmedel, Data, "
        "Miljöteknik, Trävaror, Kylteknik, Måleri"
    ),
    units=_words("ST, TIM, KG, M, KRT"),
    departments=_words(
        "Administration, Försäljning, Inköp, Produktion, Lager, Service, IT, Ekonomi, Utveckling, Marknad"
    ),
    projects=_words(
        "Inget, Nytt lager Örebro, Solpark Öland, Skolbygge, Båtservice, Digitalisering, Kylhus "
        "Malmö, Rådgivning"
    ),
    months=_words(
        "januari, februari, mars, april, maj, juni, juli, augusti, september, oktober, november, december"
    ),
)

DENMARK = Country(
    id="DK",
    currency="DKK",
    companies=("Eksempelselskabet Danmark A/S", "Øresund Eksempel Handel ApS"),
    vat=(("M25", "Moms 25 %", 25), ("M0", "Momsfri", 0), ("MEU", "EU-køb uden moms", 0)),
    suffix="A/S",
    bank_type="IBAN",
    phone="+45",
    invoice_text="Faktura",
    places=_words(
        "1050/København K, 8000/Aarhus C, 5000/Odense C, 9000/Aalborg, 6700/Esbjerg, 4000/Roskilde, "
        "4600/Køge, 3000/Helsingør, 6400/Sønderborg, 4700/Næstved, 8600/Silkeborg"
    ),
    streets=_words(
        "Havnegade, Nørregade, Søndergade, Industrivej, Algade, Østre Havnevej, Møllevej, Kærvej, Ågade"
    ),
    trades=_words(
        "VVS, El, Byg, Kontorartikler, Stål, Revision, Transport, Rengøring, Værktøj, Fødevarer, "
        "Data, Miljø, Trælast, Køleteknik, Bådværft"
    ),
    units=_words("STK, TIMER, KG, M, KS"),
    departments=_words(
        "Administration, Salg, Indkøb, Produktion, Lager, Service, IT, Økonomi, Udvikling, Markedsføring"
    ),
    projects=_words(
        "Intet, Nyt lager Køge, Vindpark Ærø, Skolebyggeri, Bådservice, Digitalisering, Kølehus "
        "Esbjerg, Rådgivning"
    ),
    months=_words(
        "januar, februar, marts, april, maj, juni, juli, august, september, oktober, november, december"
    ),
)

COUNTRIES = {country.id: country for country in (NORWAY, SWEDEN, DENMARK)}

# Suppliers and customers from abroad: (name, country, city, postal code, currency).
ABROAD = (
    ("Hafenbeispiel Maschinen GmbH", "DE", "Hamburg", "20457", "EUR"),
    ("Beispielwerk Süd GmbH & Co. KG", "DE", "München", "80331", "EUR"),
    ("Voorbeeld Logistiek B.V.", "NL", "Rotterdam", "3011 AA", "EUR"),
    ("Sample Tools Ltd", "GB", "Leeds", "LS1 4AP", "GBP"),
    ("Sample Cloud Services Inc.", "US", "Seattle, WA", "98101", "USD"),
    # A Chinese supplier filed under Switzerland, as seen in a live company (vendors/visma.md section 13.11).
    ("Shenzhen Example Electronics Co., Ltd", "CH", "Shenzhen", "518000", "USD"),
)

LONG_NAME = (
    "{place} og Omegns Interkommunale Selskap for Avfallshåndtering, Gjenvinning, Miljøovervåking "
    "og Næringsutvikling under Avvikling (tidligere {trade}) {suffix}"
)
