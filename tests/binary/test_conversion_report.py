"""The report as numbers and as a table."""

from gaaf_gp.binary import ConversionReport, LayerReport

LAYERS = (
    LayerReport("stem", "Conv2d", 1_000, "real", "first layer"),
    LayerReport("act", "ReLU", 0, "removed", "right ahead of body"),
    LayerReport("body", "Conv2d", 3_000, "binary"),
)


def test_names_and_share() -> None:
    report = ConversionReport(LAYERS, "execution")
    assert report.names("binary") == ["body"]
    assert report.names("real") == ["stem"]
    assert report.names("removed") == ["act"]
    assert report.share == 0.75
    assert ConversionReport((), "registration").share == 0.0


def test_the_table() -> None:
    assert str(ConversionReport(LAYERS, "execution", ("look here",))).splitlines() == [
        "layer  kind    weights  now      note",
        "stem   Conv2d    1,000  real     first layer",
        "act    ReLU             removed  right ahead of body",
        "body   Conv2d    3,000  binary",
        "",
        "1 of 2 layers are binary, with 75.0% of the weights; ReLUs removed: 1; first and last by order of execution",
        "warning: look here",
    ]
