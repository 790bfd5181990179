"""The groups as a picture: users as points of a plane, the same bytes for the same points."""

import io

import numpy as np
import numpy.typing as npt

from core.fusion.groups import Floats, standardise

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")
"""Colours that stay apart for most kinds of colour blindness; used again after the eighth group."""
TSNE_LIMIT = 10000
"""Most users laid out by t-SNE itself; beyond that it takes minutes, and PCA is used."""
DRAWN_LIMIT = 10000
"""Most users drawn as dots: a dot takes 176 bytes, and a report holds the picture."""


def project(vectors: npt.NDArray[np.float32], projection: str, seed: int) -> tuple[Floats, str]:
    """Return (n, 2) places of users and what laid them out: `tsne` or `pca`.

    t-SNE needs at least 5 users and vectors of two dimensions, and is left to PCA beyond TSNE_LIMIT.
    """
    standard = standardise(vectors)
    users, dimensions = standard.shape
    if projection == "tsne" and 5 <= users <= TSNE_LIMIT and dimensions > 1:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(standard) - 1) / 3)
        layout = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=seed)
        return np.asarray(layout.fit_transform(standard), dtype=np.float64), "tsne"
    return _principal(standard), "pca"


def draw(places: Floats, group: npt.NDArray[np.int32], *, title: str, axes: str) -> str:
    """Return an SVG: one dot per user, coloured by group, with each group's size in the legend.

    Of more than DRAWN_LIMIT users so many are drawn, evenly spread over their order, and the title says so.

    Args:
        places: (n, 2).
        group: (n,) group of each user.
        title: text above the picture.
        axes: what laid the users out, for the labels of the axes.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    drawn = np.linspace(0, len(places) - 1, min(len(places), DRAWN_LIMIT)).astype(np.int64)
    if len(drawn) < len(places):
        title += f" ({len(drawn):,} of {len(places):,} users drawn)"
    sizes = np.bincount(group)
    places, group = places[drawn], group[drawn]
    # hashsalt fixes the ids inside the file, and no date is written: equal input gives equal bytes.
    settings = {"svg.hashsalt": "thinkrec", "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(7.2, 5.2), facecolor="white", layout="constrained")
        FigureCanvasSVG(figure)
        plot = figure.add_subplot()
        size = float(np.clip(4000 / max(len(places), 1), 4, 40))
        for number, users in enumerate(sizes):
            mine = places[group == number]
            plot.scatter(
                mine[:, 0],
                mine[:, 1],
                s=size,
                color=COLOURS[number % len(COLOURS)],
                alpha=0.75,
                linewidths=0.3,
                edgecolors="white",
                label=f"group {number} ({users} users)",
            )
        plot.set_title(title, loc="left", fontsize=12, fontweight="bold")
        name = {"pca": "principal component", "tsne": "t-SNE dimension"}[axes]
        plot.set_xlabel(f"{name} 1", fontsize=9, color="#555555")
        plot.set_ylabel(f"{name} 2", fontsize=9, color="#555555")
        plot.tick_params(labelsize=8, colors="#555555", length=0)
        plot.grid(color="#eeeeee", linewidth=0.8)
        plot.set_axisbelow(True)
        for side in plot.spines.values():
            side.set_visible(False)
        plot.legend(frameon=False, fontsize=9, loc="best", markerscale=1.5)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "thinkrec"})
    return out.getvalue()


def _principal(standard: Floats) -> Floats:
    """Return (n, 2) the first two principal components, each with the sign that makes its longest arm positive."""
    places = np.zeros((len(standard), 2))
    if standard.size:
        left, length, _ = np.linalg.svd(standard, full_matrices=False)
        kept = min(2, len(length))
        places[:, :kept] = left[:, :kept] * length[:kept]
    longest = np.abs(places).argmax(0) if len(places) else np.zeros(2, dtype=int)
    if len(places):
        places *= np.where(places[longest, [0, 1]] < 0, -1.0, 1.0)
    return places
