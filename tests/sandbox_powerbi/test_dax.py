"""The DAX engine: every answer here was worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.powerbi import dax

from .conftest import moment

NOW = datetime(2026, 3, 15, 10, 30, tzinfo=UTC)

LIVE_AMOUNT = """
SUMX ( VALUES ( 'Orders'[order_key] ),
    VAR v = CALCULATE ( MAX ( 'Orders'[_version] ), ALLEXCEPT ( 'Orders', 'Orders'[order_key] ) )
    RETURN CALCULATE ( MAX ( 'Orders'[amount] ), 'Orders'[_version] = v, 'Orders'[_deleted] = 0 ) )"""
LIVE_ROWS = """
SUMX ( VALUES ( 'Orders'[order_key] ),
    VAR v = CALCULATE ( MAX ( 'Orders'[_version] ), ALLEXCEPT ( 'Orders', 'Orders'[order_key] ) )
    RETURN IF (
      CALCULATE ( COUNTROWS ( 'Orders' ), 'Orders'[_version] = v, 'Orders'[_deleted] = 0 ) > 0, 1 ) )"""
ORDERS_SLOT = """
VAR s = CALCULATE ( MAX ( 'Ctl'[seq] ), REMOVEFILTERS ( 'Ctl' ), 'Ctl'[entity] = "Orders" )
  RETURN CALCULATE (
    MAX ( 'Ctl'[slot] ), REMOVEFILTERS ( 'Ctl' ), 'Ctl'[seq] = s, 'Ctl'[entity] = "Orders" )"""
ORDERS_AMOUNT = "IF ( [Orders Slot] = \"A\", SUM ( 'Orders_A'[amount] ), SUM ( 'Orders_B'[amount] ) )"


def log_of_orders() -> dax.Table:
    """Order 1 was OPEN and is CLOSED, order 2 was posted twice, order 3 is deleted; customer 9 is unknown."""
    columns = ["order_key", "customer_key", "status", "_version", "_deleted", "amount"]
    return dax.Table(
        "Orders",
        columns,
        [
            (1, 10, "OPEN", 1, 0, Decimal("10.5")),
            (1, 10, "CLOSED", 2, 0, Decimal("11")),
            (2, 20, "OPEN", 1, 0, Decimal("7.25")),
            (2, 20, "OPEN", 1, 0, Decimal("7.25")),
            (3, 20, "OPEN", 1, 0, Decimal("1")),
            (3, 20, "OPEN", 2, 1, Decimal("1")),
            (4, 9, "OPEN", 1, 0, Decimal("100")),
        ],
    )


def customers() -> dax.Table:
    return dax.Table("Customers", ["customer_key", "country"], [(10, "NO"), (20, "SE"), (30, "SE")])


def slots() -> list[dax.Table]:
    rows = [(1, "Orders", "A"), (2, "Orders", "B"), (3, "Lines", "A")]
    return [
        dax.Table("Ctl", ["seq", "entity", "slot"], rows),
        dax.Table("Orders_A", ["amount"], [(Decimal("1"),)]),
        dax.Table("Orders_B", ["amount"], [(Decimal("2.50"),), (Decimal("3.50"),)]),
    ]


def star(*measures: tuple[str, str], both: bool = False, unique: bool = False) -> dax.Model:
    orders, dimension = log_of_orders(), customers()
    relation = dax.Relation(
        orders.by_name["customer_key"], dimension.by_name["customer_key"], both=both, unique=unique
    )
    named = [
        ("Live Amount", LIVE_AMOUNT),
        ("Live Rows", LIVE_ROWS),
        ("Orders Slot", ORDERS_SLOT),
        ("Orders Amount", ORDERS_AMOUNT),
        *measures,
    ]
    measured = [dax.Measure(name, expression) for name, expression in named]
    return dax.Model([orders, dimension, *slots()], [relation], measured)


def rows(query: str, model: dax.Model | None = None) -> list[dict[str, Any]]:
    result = dax.run(model or star(), query, NOW)
    return [dict(zip(result.titles, row, strict=True)) for row in result.rows]


def value(expression: str, model: dax.Model | None = None) -> Any:
    return rows(f'EVALUATE ROW("x", {expression})', model)[0]["[x]"]


def table(expression: str, model: dax.Model | None = None) -> list[tuple[Any, ...]]:
    return dax.run(model or star(), f"EVALUATE {expression}", NOW).rows


class TestLatestVersion:
    def test_the_live_amount_is_that_of_each_keys_last_version(self) -> None:
        assert value("[Live Amount]") == Decimal("118.25")  # 11 + 7.25 + 100
        assert value("[Live Rows]") == 3

    def test_a_slicer_does_not_bring_back_a_version_that_was_open_once(self) -> None:
        found = table('SUMMARIZECOLUMNS(Orders[status], "amount", [Live Amount], "rows", [Live Rows])')
        assert found == [("OPEN", Decimal("107.25"), 2), ("CLOSED", Decimal("11"), 1)]

    def test_it_follows_filters_of_a_dimension_and_the_unknown_customers_blank_row(self) -> None:
        found = table('SUMMARIZECOLUMNS(Customers[country], "amount", [Live Amount])')
        assert found == [("NO", Decimal("11")), ("SE", Decimal("7.25")), (None, Decimal("100"))]

    def test_the_same_over_the_rows_themselves(self) -> None:
        last = "Orders[_version] = CALCULATE(MAX(Orders[_version]), ALLEXCEPT(Orders, Orders[order_key]))"
        live = f"FILTER(Orders, {last} && Orders[_deleted] = 0)"
        assert value(f"SUMX({live}, Orders[amount])") == Decimal("125.50")  # order 2 stands there twice
        assert value(f"CALCULATE(DISTINCTCOUNT(Orders[order_key]), {live})") == 3

    def test_a_hundred_thousand_keys(self) -> None:
        """Quadratic work would not end."""
        content = [(key, key % 50, "OPEN", 1, 0, Decimal(key) / 100) for key in range(100_000)]
        content += [(key, key % 50, "CLOSED", 2, 0, Decimal(1)) for key in range(0, 100_000, 10)]
        big = dax.Table("Orders", [column.name for column in log_of_orders().columns], content)
        model = dax.Model([big], measures=[dax.Measure("Live Amount", LIVE_AMOUNT)])
        untouched = sum(key for key in range(100_000) if key % 10)
        assert value("[Live Amount]", model) == Decimal(untouched) / 100 + 10_000


class TestSlots:
    def test_the_last_control_row_of_the_entity_names_the_slot(self) -> None:
        assert value("[Orders Slot]") == "B"
        assert value("[Orders Amount]") == Decimal("6")

    def test_filters_on_the_control_table_do_not_move_the_slot(self) -> None:
        assert value('CALCULATE([Orders Amount], Ctl[entity] = "Lines")') == Decimal("6")
        assert value("CALCULATE([Orders Amount], FILTER(Ctl, Ctl[seq] = 1))") == Decimal("6")

    def test_an_empty_control_table_gives_a_blank_slot(self) -> None:
        ctl, *loaded = slots()
        empty = dax.Table("Ctl", [column.name for column in ctl.columns], [])
        model = dax.Model([empty, *loaded], measures=[dax.Measure("Orders Slot", ORDERS_SLOT)])
        assert value("[Orders Slot]", model) is None


class TestChecks:
    """What section 13 asks of a freshly loaded slot."""

    def model(self, loaded: int = 5) -> dax.Model:
        rows = [(f"{key}", key, 100 * key, "L1" if key < 3 else "L2", key % 2) for key in range(loaded)]
        names = ["order_key", "n", "amount_cents", "_load_id", "_batch_no"]
        return dax.Model([dax.Table("Orders_A", names, rows)])

    def test_rows_keys_cents_and_foreign_rows(self) -> None:
        query = """EVALUATE ROW ( "rows", COUNTROWS ( 'Orders_A' ) + 0,
          "keys", DISTINCTCOUNT ( 'Orders_A'[order_key] ), "cents", SUM ( 'Orders_A'[amount_cents] ) + 0,
          "foreign", COUNTROWS ( FILTER ( 'Orders_A', 'Orders_A'[_load_id] <> "L1" ) ) + 0 )"""
        assert rows(query, self.model()) == [{"[rows]": 5, "[keys]": 5, "[cents]": 1000, "[foreign]": 2}]
        empty = {"[rows]": 0, "[keys]": None, "[cents]": 0, "[foreign]": 0}
        assert rows(query, self.model(loaded=0)) == [empty]

    def test_rows_by_load_and_batch(self) -> None:
        query = """EVALUATE SUMMARIZECOLUMNS ( 'Orders_A'[_load_id], 'Orders_A'[_batch_no],
                   "n", COUNTROWS ( 'Orders_A' ) )
                   ORDER BY [n] DESC, Orders_A[_load_id], Orders_A[_batch_no]"""
        found = [tuple(row.values()) for row in rows(query, self.model())]
        assert found == [("L1", 0, 2), ("L1", 1, 1), ("L2", 0, 1), ("L2", 1, 1)]

    def test_keys_that_stand_there_more_than_once(self) -> None:
        query = """EVALUATE FILTER ( SUMMARIZECOLUMNS ( 'Orders'[order_key], "n", COUNTROWS ( 'Orders' ) ),
                   [n] > 1 ) ORDER BY 'Orders'[order_key]"""
        assert [tuple(row.values()) for row in rows(query)] == [(1, 2), (2, 2), (3, 2)]

    def test_keys_name_model_columns_with_their_table_and_computed_ones_without(self) -> None:
        query = 'EVALUATE SUMMARIZECOLUMNS(Customers[country], "n", COUNTROWS(Customers))'
        assert list(rows(query)[0]) == ["Customers[country]", "[n]"]


class TestBlanks:
    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("BLANK() + 1", 1),
            ("BLANK() + BLANK()", None),
            ("BLANK() - 1", -1),
            ("BLANK() * 5", None),
            ("BLANK() / 5", None),
            ('BLANK() & "a"', "a"),
            ("BLANK() = 0", True),
            ('BLANK() = ""', True),
            ("BLANK() = FALSE()", True),
            ("BLANK() == 0", False),
            ("BLANK() == BLANK()", True),
            ("BLANK() < 1", True),
            ("NOT BLANK()", True),
            ("ISBLANK(BLANK())", True),
            ("ISBLANK(0)", False),
            ("COALESCE(BLANK(), BLANK(), 3)", 3),
            ("IF(BLANK(), 1, 2)", 2),
            ("IF(FALSE(), 1)", None),
            ("COUNTROWS(FILTER(Orders, FALSE()))", None),
            ("COUNTROWS(FILTER(Orders, FALSE())) + 0", 0),
            ("SUMX(FILTER(Orders, FALSE()), 1)", None),
            ("CALCULATE(MAX(Orders[amount]), Orders[order_key] = 99)", None),
            ("CALCULATE(COUNT(Orders[amount]), Orders[order_key] = 99)", None),
            ("DIVIDE(1, 0)", None),
            ("DIVIDE(1, BLANK(), 7)", 7),
        ],
    )
    def test_blank_behaves_as_in_dax(self, expression: str, wanted: Any) -> None:
        found = value(expression)
        assert (found, type(found)) == (wanted, type(wanted))

    def test_a_filter_for_zero_lets_blanks_pass(self) -> None:
        flags = dax.Table("T", ["deleted", "text"], [(0, "a"), (1, "b"), (None, None)])
        model = dax.Model([flags])
        assert value("CALCULATE(COUNTROWS(T), T[deleted] = 0)", model) == 2
        assert value("CALCULATE(COUNTROWS(T), T[deleted] == 0)", model) == 1
        assert value("CALCULATE(COUNTROWS(T), T[deleted] IN {0})", model) == 1
        assert value('CALCULATE(COUNTROWS(T), T[text] = "")', model) == 1
        assert value("CALCULATE(COUNTROWS(T), T[deleted] = BLANK())", model) == 2

    def test_distinctcount_counts_blank_as_a_value(self) -> None:
        model = dax.Model([dax.Table("T", ["x"], [(1,), (None,), (None,)])])
        assert value("DISTINCTCOUNT(T[x])", model) == 2
        assert value("COUNT(T[x])", model) == 1
        assert value("AVERAGE(T[x])", model) == 1.0


class TestNumbers:
    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("2 + 3 * 4", 14),
            ("(2 + 3) * 4", 20),
            ("-2 - -3", 1),
            ("7 / 2", 3.5),
            ("1.5 + 1", 2.5),
            ("SUM(Orders[amount])", Decimal("138")),
            ("SUM(Orders[amount]) + 1", Decimal("139")),
            ("SUM(Orders[amount]) / 7", Decimal("19.7143")),
            ("AVERAGE(Orders[amount])", Decimal("19.7143")),
            ("SUM(Orders[amount]) * 0.1", Decimal("13.8")),
            ("MAX(Orders[amount])", Decimal("100")),
            ("MIN(Orders[_version])", 1),
            ("MAX(3, 5)", 5),
            ("MAXX(Orders, Orders[amount] * 2)", Decimal("200")),
            ("SUMX(Orders, Orders[_version] * 10)", 90),
            ("ROUND(2.345, 2)", 2.35),
            ("ABS(-4)", 4),
            ("INT(-1.5)", -2),
            ('"a" & 1 & TRUE()', "a1True"),
            ("IF(1 < 2 && NOT 1 > 2, 10, 20)", 10),
            ("IF(1 > 2 || 2 > 1, 10, 20)", 10),
            ("NOT 1 = 2", True),
            ('SWITCH(2, 1, "one", 2, "two", "many")', "two"),
            ('SWITCH(TRUE(), 1 > 2, "no", 2 > 1, "yes")', "yes"),
            ("SWITCH(3, 1, 2)", None),
            ("2 IN {1, 2}", True),
            ('"NO" IN VALUES(Customers[country])', True),
            ("VAR a = 2 VAR b = a * 3 RETURN a + b", 8),
            ('"Ø" = "ø"', True),
        ],
    )
    def test_an_expression_has_the_value_and_the_type_it_has_in_power_bi(
        self, expression: str, wanted: Any
    ) -> None:
        found = value(expression)
        assert (found, type(found)) == (wanted, type(wanted))

    def test_sums_are_exact(self) -> None:
        model = dax.Model([dax.Table("T", ["x"], [(Decimal("0.1"),)] * 3)])
        assert value("SUM(T[x]) = 0.3", model) is True
        assert value("SUM(T[x])", model) == Decimal("0.3")

    def test_texts_that_differ_by_case_are_one_value_in_the_first_spelling(self) -> None:
        model = dax.Model([dax.Table("T", ["x"], [("Oslo",), ("OSLO",), ("Bergen",)])])
        assert table("VALUES(T[x])", model) == [("Oslo",), ("Bergen",)]
        assert value('CALCULATE(COUNTROWS(T), T[x] = "oslo")', model) == 2


class TestDates:
    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("TODAY()", moment(2026, 3, 15)),
            ("NOW()", moment(2026, 3, 15, 10, 30)),
            ("DATE(2026, 14, 0)", moment(2027, 1, 31)),
            ("YEAR(DATE(2026, 3, 4)) * 100 + MONTH(DATE(2026, 3, 4))", 202603),
            ("DAY(TODAY())", 15),
            ("DATEDIFF(DATE(2026, 3, 1), TODAY(), DAY)", 14),
            ("DATEDIFF(DATE(2026, 2, 28), DATE(2026, 3, 1), MONTH)", 1),
            ("DATEDIFF(DATE(2025, 12, 31), DATE(2026, 1, 1), YEAR)", 1),
            ("DATEDIFF(DATE(2026, 3, 14), DATE(2026, 3, 15), WEEK)", 1),
            ("DATEDIFF(TODAY(), NOW(), HOUR)", 10),
            ("TODAY() - DATE(2026, 3, 1)", 14),
            ("TODAY() + 1 = DATE(2026, 3, 16)", True),
        ],
    )
    def test_days_are_made_and_counted_as_in_power_bi(self, expression: str, wanted: Any) -> None:
        assert value(expression) == wanted

    def test_ageing_by_measure(self) -> None:
        due = [(moment(2026, 3, 20), 1), (moment(2026, 3, 1), 2), (moment(2025, 12, 1), 4), (None, 8)]
        model = dax.Model([dax.Table("Invoices", ["due", "open"], due)])
        late = "DATEDIFF(Invoices[due], TODAY(), DAY)"
        assert value(f"CALCULATE(SUM(Invoices[open]), FILTER(Invoices, {late} > 0))", model) == 6
        assert value(f"CALCULATE(SUM(Invoices[open]), {late} > 0, {late} <= 30)", model) == 2
        assert value("CALCULATE(SUM(Invoices[open]), Invoices[due] < TODAY() - 30)", model) == 12


class TestFilterContext:
    def test_a_filter_argument_replaces_the_filter_of_its_column(self) -> None:
        found = table(
            'ADDCOLUMNS(VALUES(Orders[status]), "own", CALCULATE(COUNTROWS(Orders)), '
            '"open", CALCULATE(COUNTROWS(Orders), Orders[status] = "OPEN"), '
            '"kept", CALCULATE(COUNTROWS(Orders), KEEPFILTERS(Orders[status] = "OPEN")))'
        )
        assert found == [("OPEN", 6, 6, 6), ("CLOSED", 1, 6, None)]

    def test_several_filters_hold_together(self) -> None:
        assert value('CALCULATE(COUNTROWS(Orders), Orders[status] = "OPEN", Orders[_version] = 2)') == 1
        assert value("CALCULATE(COUNTROWS(Orders), Orders[amount] > 5, Orders[amount] < 11)") == 3
        assert value("CALCULATE(COUNTROWS(Orders), Orders[amount] > 5 && Orders[_version] = 1)") == 4
        assert value("CALCULATE(COUNTROWS(Orders), Orders[amount] > 50 || Orders[_version] = 2)") == 3

    def test_filters_flow_from_the_one_side_to_the_many_side_only(self) -> None:
        assert value('CALCULATE(COUNTROWS(Orders), Customers[country] = "SE")') == 4
        assert value('CALCULATE(COUNTROWS(Customers), Orders[status] = "CLOSED")') == 3
        assert value('CALCULATE(COUNTROWS(Customers), Orders[status] = "CLOSED")', star(both=True)) == 1

    def test_removefilters_of_a_table_frees_its_dimensions_too(self) -> None:
        inner = "CALCULATE(COUNTROWS(Orders), {0})"
        for modifier, wanted in {
            "REMOVEFILTERS(Orders)": 7,
            "ALL(Orders)": 7,
            "REMOVEFILTERS()": 7,
            "REMOVEFILTERS(Customers)": 7,
            "REMOVEFILTERS(Orders[status])": 4,
            "ALLEXCEPT(Orders, Customers[country])": 4,
            "ALLEXCEPT(Orders, Orders[status])": 7,
        }.items():
            query = f'CALCULATE({inner.format(modifier)}, Customers[country] = "SE")'
            assert value(query) == wanted, modifier

    def test_all_as_a_table_ignores_filters(self) -> None:
        assert value('CALCULATE(COUNTROWS(ALL(Orders)), Orders[status] = "CLOSED")') == 7
        assert value('CALCULATE(COUNTROWS(ALL(Orders[status])), Orders[status] = "CLOSED")') == 2

    def test_a_table_as_filter_filters_its_expansion(self) -> None:
        closed = 'FILTER(Orders, Orders[status] = "CLOSED")'
        assert value(f"CALCULATE(COUNTROWS(Customers), {closed})") == 1
        assert value("CALCULATE(COUNTROWS(Orders), FILTER(ALL(Orders), Orders[amount] > 5))") == 5
        pairs = "SUMMARIZE(Orders, Customers[country], Orders[_version])"
        assert value(f"CALCULATE(COUNTROWS(Orders), FILTER({pairs}, [_version] = 2))") == 2

    def test_iterators_turn_their_row_into_filters_inside_calculate(self) -> None:
        assert value("SUMX(Customers, CALCULATE(SUM(Orders[amount])))") == Decimal("38")
        assert value("SUMX(Customers, SUM(Orders[amount]))") == Decimal("414")

    def test_identical_rows_are_one_to_context_transition(self) -> None:
        model = star(("Total", "SUM(Orders[amount])"))
        twice = "SUMX(FILTER(Orders, Orders[order_key] = 2), [Total])"
        assert value(twice, model) == Decimal("29")  # each of the two rows sees both

    def test_calculate_ends_the_row_context(self) -> None:
        model = star(("Total", "SUM(Orders[amount])"))
        assert value("SUMX(VALUES(Orders[status]), CALCULATE([Total], ALL(Orders)))", model) == Decimal("276")
        with pytest.raises(dax.DaxError, match="A single value for column 'amount'"):
            value("SUMX(Orders, CALCULATE(Orders[amount]))")

    def test_values_of_the_one_side_show_the_blank_row_distinct_does_not(self) -> None:
        assert table("VALUES(Customers[country])") == [("NO",), ("SE",), (None,)]
        assert table("DISTINCT(Customers[country])") == [("NO",), ("SE",)]
        assert value("COUNTROWS(Customers)") == 3
        assert value("COUNTROWS(VALUES(Customers))") == 4

    def test_related_looks_up_the_one_side(self) -> None:
        found = table('SELECTCOLUMNS(Orders, "k", Orders[order_key], "c", RELATED(Customers[country]))')
        assert found[0] == (1, "NO")
        assert found[-1] == (4, None)

    def test_selectedvalue_and_hasonevalue(self) -> None:
        found = table(
            'SUMMARIZECOLUMNS(Customers[country], "one", HASONEVALUE(Customers[customer_key]), '
            '"key", SELECTEDVALUE(Customers[customer_key], -1))'
        )
        assert found == [("NO", True, 10), ("SE", False, -1), (None, True, None)]

    def test_variables_are_fixed_where_they_are_defined(self) -> None:
        query = 'VAR n = COUNTROWS(Orders) RETURN CALCULATE(n, Orders[status] = "CLOSED")'
        assert value(query) == 7


class TestTables:
    def test_topn_takes_ties(self) -> None:
        assert table("TOPN(1, VALUES(Orders[_version]), [_version])") == [(2,)]
        assert len(table("TOPN(2, Orders, Orders[_version], DESC)")) == 2
        assert len(table("TOPN(1, Orders, Orders[_version], ASC)")) == 5
        assert table("TOPN(0, VALUES(Orders[_version]))") == []

    def test_order_by_sorts_blanks_first(self) -> None:
        query = "EVALUATE VALUES(Customers[country]) ORDER BY Customers[country]"
        assert [row["Customers[country]"] for row in rows(query)] == [None, "NO", "SE"]

    def test_summarize_groups_by_columns_of_the_expanded_table(self) -> None:
        found = table('SUMMARIZE(Orders, Customers[country], "n", COUNTROWS(Orders))')
        assert found == [("NO", 2), ("SE", 4), (None, 1)]
        filtered = 'SUMMARIZE(FILTER(Orders, Orders[_version] = 1), Orders[status], "n", COUNTROWS(Orders))'
        assert table(filtered) == [("OPEN", 5)]

    def test_summarizecolumns_crosses_tables_and_drops_blank_groups(self) -> None:
        found = table(
            "SUMMARIZECOLUMNS(Orders[status], Customers[country], "
            'FILTER(Customers, Customers[country] <> ""), "n", COUNTROWS(Orders))'
        )
        assert found == [("OPEN", "NO", 1), ("OPEN", "SE", 4), ("CLOSED", "NO", 1)]

    def test_calculatetable_and_distinct_rows(self) -> None:
        assert len(table("DISTINCT(Orders)")) == 6
        assert table('CALCULATETABLE(VALUES(Orders[order_key]), Orders[status] = "CLOSED")') == [(1,)]

    def test_a_table_of_literals(self) -> None:
        assert table('{ (1, "a"), (2, "b") }') == [(1, "a"), (2, "b")]
        assert value("SUMX({ 1, 2, 3 }, [Value])") == 6


class TestMistakes:
    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ('EVALUATE ROW("x", 1 + )', r"Query \(1, 23\) The syntax for '\)' is incorrect"),
            ("EVALUATE\n  Nothing", r"Query \(2, 3\) Cannot find table 'Nothing'"),
            ("SELECT * FROM Orders", "EVALUATE was expected"),
            (
                "EVALUATE VALUES(Orders[nothing])",
                r"\(1, 17\) Column 'nothing' in table 'Orders' cannot be found",
            ),
            ('EVALUATE ROW("x", [Nothing])', r"Cannot find name '\[Nothing\]'"),
            ('EVALUATE ROW("x", Orders[amount])', "A single value for column 'amount'"),
            ('EVALUATE ROW("x", CONCATENATEX(Orders, 1))', "Failed to resolve name 'CONCATENATEX'"),
            ('EVALUATE ROW("x", USERELATIONSHIP(Orders[a], Orders[b]))', "Failed to resolve name"),
            ('EVALUATE ROW("x", IF(TRUE()))', "Too few arguments were passed to the IF"),
            ('EVALUATE ROW("x", 1 = "1")', "do not support comparing values of type Integer"),
            ('EVALUATE ROW("x", CALCULATE(COUNTROWS(Orders), Orders[status] = 1))', "type Text with"),
            ('EVALUATE ROW("x", 1 / 0)', "Division by zero"),
            ('EVALUATE ROW("x", SUM(Orders[status]))', "SUM cannot work with values of type Text"),
            ('EVALUATE ROW("x", VALUES(Orders[status]))', "multiple values was supplied"),
            ('EVALUATE ROW("x", CALCULATE(1, 1 = 1))', "must name columns of one table"),
            ('EVALUATE ROW("x", "unclosed)', "incorrect"),
            ("EVALUATE 1", "not a valid table expression"),
        ],
    )
    def test_say_where(self, query: str, text: str) -> None:
        with pytest.raises(dax.DaxError, match=text):
            rows(query)

    def test_of_a_measure_name_the_measure(self) -> None:
        with pytest.raises(dax.DaxError, match=r"Measure \[Broken\] \(1, 5\)"):
            value("[Broken]", star(("Broken", "1 + Nothing(2)")))

    def test_measures_may_not_circle(self) -> None:
        with pytest.raises(dax.DaxError, match="circular"):
            value("[A]", star(("A", "[B]"), ("B", "[A] + 1")))

    def test_maximum_of_booleans_is_none(self) -> None:
        model = dax.Model([dax.Table("T", ["x"], [(True,)])])
        with pytest.raises(dax.DaxError, match="True/False"):
            value("MAX(T[x])", model)

    @pytest.mark.parametrize("unique", [False, True])
    def test_a_key_twice_on_the_one_side_may_be_an_error(self, unique: bool) -> None:
        one = dax.Table("One", ["k"], [(1,), (1,)])
        many = dax.Table("Many", ["k"], [(1,), (1,), (2,)])
        relation = dax.Relation(many.by_name["k"], one.by_name["k"], unique=unique)
        model = dax.Model([one, many], [relation])
        if unique:
            with pytest.raises(dax.DaxError, match="contains a duplicate value '1'"):
                value("CALCULATE(COUNTROWS(Many), One[k] = 1)", model)
        else:
            assert value("CALCULATE(COUNTROWS(Many), One[k] = 1)", model) == 2
