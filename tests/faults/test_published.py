"""The table of published operators is complete, both ways."""

from analysis_lib.faults import get_operator, list_operators, published_operators
from analysis_lib.labels import UNTYPED_OPERATORS

DEEPCRIME = (
    "TCL TRD TUD TAN TCO HBS HLR HNE HDB ACH ARM AAL RAW RCW RRW RCD RCP WCI WAB WRB LCH OCH OCG "
    "VRM"
).split()
DEFAULT = "LKS LCF LCP LCS LCD LCN LAD LRM LCT LCO".split()
DEEPFD = "opt lr act loss epoch".split()


def test_every_published_operator_is_there_once():
    table = published_operators()
    for technique, ids in (("DeepCrime", DEEPCRIME), ("DEFault", DEFAULT), ("DeepFD", DEEPFD)):
        assert sorted(table.loc[table["technique"] == technique, "published"]) == sorted(ids)
    assert (len(DEEPCRIME), len(DEFAULT), len(DEEPFD)) == (24, 10, 5)


def test_every_registered_operator_is_there_and_no_other():
    named = set(published_operators()["operator"]) - {""}
    assert named == {o.id for o in list_operators()}


def test_what_is_left_out_or_never_planned_has_a_reason():
    table = published_operators()
    assert table.loc[~table["planned"], "note"].str.len().gt(20).all()
    unplanned = table.loc[~table["planned"], ["published", "operator"]].to_numpy().ravel()
    assert set(UNTYPED_OPERATORS) <= set(unplanned)
    assert table.loc[table["operator"] == "", "published"].tolist() == ["VRM"]


def test_rows_say_what_the_registry_says():
    for row in published_operators().itertuples():
        if row.operator:
            operator = get_operator(row.operator)
            assert row.category == operator.category and row.programs > 0
            assert all(name in row.parameters for name in operator.parameters)


def test_ids_name_their_technique():
    for row in published_operators().itertuples():
        source = get_operator(row.operator).source if row.operator else row.technique
        assert row.technique in source or row.operator == "TDN" or row.published == ""
