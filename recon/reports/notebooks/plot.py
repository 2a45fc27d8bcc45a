"""Pictures for notebooks, drawn from what :func:`recon.load` gives: ``recon.plot(loaded, "arrivals")``.

Bars are as long as a float allows; labels and frames keep the exact amounts. matplotlib is the optional extra
``notebook`` and loads when a picture is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.times import to_ms
from recon.reports.notebooks.load import Loaded, load
from recon.reports.pages.page import Chart
from recon.reports.text import display_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recon.core.model import Plan
    from recon.investigation.payment import Inspection
    from recon.snapshots.sealed import Snapshot

_COLOURS: Final = ("#2456c9", "#0c8f8f", "#b7860b", "#a03a9a", "#5b6879", "#2f8f46", "#c2410c", "#6d5bd0")
_LEVELS: Final = {
    "critical": "#a8071a", "high": "#bf3d0a", "medium": "#86610a", "low": "#1864ab", "info": "#5f6b78",
}  # fmt: skip
_LABEL_MAX: Final = 60


class NoPlotError(UsageError):
    """There is no picture of that name in what was loaded."""

    def __init__(self, *, name: str, known: tuple[str, ...], kind: str) -> None:
        shown = ", ".join(known) or "none"
        super().__init__(f"There is no picture {name[:40]!r} of this {kind}; there are: {shown}.")


class NoMatplotlibError(UsageError):
    """matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__('Pictures need matplotlib; install the extra with: pip install "recon-toolkit[notebook]"')


def plot(source: Loaded | Plan | Snapshot | Inspection, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw one picture of what was loaded.

    Plans have ``by_provider``, ``by_chain``, ``money`` and ``ages``; snapshots ``arrivals`` and ``depth``; cases and
    inspections ``timeline``; notifications ``deliveries``; a history ``breaks``.

    Args:
        source: What :func:`recon.load` gave, or a plan, snapshot or inspection itself.
        ax: Where it is drawn; a new figure when not given.

    Raises:
        NoPlotError: There is no such picture of it.
        NoMatplotlibError: The extra ``notebook`` is not installed.
    """
    loaded = source if isinstance(source, Loaded) else load(source)
    charts = {chart.name: chart for chart in charts_of(loaded)}
    lines = {"case": "timeline", "history": "breaks"}.get(loaded.kind)
    known = (*charts, *((lines,) if lines else ()))
    if name not in known:
        raise NoPlotError(name=name, known=known, kind=loaded.kind)
    axes = ax if ax is not None else _new_axes()
    if name == "timeline":
        _draw_timeline(loaded, axes)
    elif name == "breaks":
        _draw_history(loaded, axes)
    else:
        chart = charts[name]
        _DRAWN[chart.kind](chart.data, axes)
        axes.set_title(chart.title, loc="left", fontsize=11, fontweight="bold")
        if chart.note:
            axes.text(0, -0.16, chart.note, transform=axes.transAxes, fontsize=8, color="#5b6879")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def charts_of(loaded: Loaded) -> tuple[Chart, ...]:
    """The pictures of what was loaded, as data; the HTML report draws the same."""
    from recon.core.registry import load_registry
    from recon.reports.pages.pictures import delivery_chart, plan_charts, snapshot_charts
    from recon.reports.pages.whole import read_whole

    if loaded.kind == "plan":
        charts = plan_charts(loaded.artefact, whole=None, policy=None, registry=load_registry())
        return tuple(chart for chart in charts if chart.kind in _DRAWN)
    if loaded.kind == "snapshot":
        return snapshot_charts(read_whole(loaded.artefact, policy=None), policy=None, registry=load_registry())
    if loaded.kind == "deliveries":
        frame = loaded["deliveries"]
        moments = ((None if at is None else to_ms(at)) for at in _known(frame["received_at"]))
        chart = delivery_chart(zip(moments, _known(frame["http_status"]), strict=True))
        return (chart,) if chart else ()
    return ()


def _known(column: Any) -> list[Any]:
    """The cells of a column, None where one is missing."""
    return [None if missing else cell for cell, missing in zip(column, column.isna(), strict=True)]


def _new_axes() -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise NoMatplotlibError from error
    _, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    return axes


def _label(text: object) -> str:
    """Text as matplotlib shows it: a dollar sign would begin a formula."""
    return display_text(text, length_max=_LABEL_MAX).replace("$", r"\$")


def _colour(name: str, number: int) -> str:
    return _LEVELS.get(name, _COLOURS[number % len(_COLOURS)])


def _legend(axes: Axes) -> None:
    """Above the picture on the right, where no bar is."""
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=4)


def _draw_bars(data: Mapping[str, Any], axes: Axes) -> None:
    names = [_label(name) for name in data["categories"]]
    places, left = range(len(names)), [0] * len(names)
    for number, series in enumerate(data["series"]):
        axes.barh(places, series["values"], left=left, label=_label(series["name"]), color=_colour("", number))
        left = [before + value for before, value in zip(left, series["values"], strict=True)]
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    _legend(axes)
    axes.set_xlabel("payments")


def _draw_columns(data: Mapping[str, Any], axes: Axes) -> None:
    names = [_label(name) for name in data["categories"]]
    places, bottom = range(len(names)), [0] * len(names)
    for number, series in enumerate(data["series"]):
        colour = _colour(series["name"], number)
        axes.bar(places, series["values"], bottom=bottom, label=_label(series["name"]), color=colour)
        bottom = [before + value for before, value in zip(bottom, series["values"], strict=True)]
    axes.set_xticks(places, names)
    _legend(axes)
    axes.set_ylabel("payments")


def _draw_money(data: Mapping[str, Any], axes: Axes) -> None:
    names = [_label(name) for name in data["categories"]]
    for number, series in enumerate(data["series"]):
        places = [place + number * 0.4 for place in range(len(names))]
        bars = axes.barh(
            places, [float(value) for value in series["values"]], height=0.38, label=_label(series["name"]),
            color=("#bf3d0a", "#2456c9")[number % 2],
        )  # fmt: skip
        axes.bar_label(bars, labels=[_label(text) for text in series["texts"]], fontsize=7, padding=3)
    axes.set_yticks([place + 0.2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.xaxis.set_visible(False)
    _legend(axes)


def _draw_time(data: Mapping[str, Any], axes: Axes) -> None:
    import numpy as np

    start, step = int(data["start_ms"]), int(data["step_ms"])
    for number, series in enumerate(data["series"]):
        times = np.arange(start, start + step * len(series["values"]), step).astype("datetime64[ms]")
        axes.step(times, series["values"], where="mid", label=_label(series["name"]), color=_colour("", number), lw=1.2)
    for number, gap in enumerate(data["gaps"]):
        begin, end = (_days(gap[side]) for side in ("from", "to"))
        axes.axvspan(begin, end, color="#b3261e", alpha=0.15, label="could not be read" if number == 0 else None)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", labelsize=8)
    _legend(axes)
    axes.set_ylabel("in each step, UTC")


def _days(ms: int) -> float:
    """UTC milliseconds as matplotlib counts time, in days."""
    return int(ms) / 86_400_000


def _draw_depth(data: Mapping[str, Any], axes: Axes) -> None:
    names = [_label(name) for name in data["categories"]]
    colours = ("#bf3d0a", "#b7860b", "#17743f")
    for number, series in enumerate(data["series"]):
        places = [place + number * 0.27 for place in range(len(names))]
        bars = axes.barh(places, series["values"], height=0.25, label=_label(series["name"]), color=colours[number % 3])
        axes.bar_label(bars, labels=[str(value) if value else "" for value in series["values"]], fontsize=7, padding=3)
    axes.set_xscale("symlog")
    axes.set_yticks([place + 0.27 for place in range(len(names))], names)
    axes.invert_yaxis()
    _legend(axes)
    axes.set_xlabel("transfers")


_DRAWN: Final[dict[str, Callable[[Mapping[str, Any], Any], None]]] = {
    "bars": _draw_bars, "columns": _draw_columns, "money": _draw_money, "time": _draw_time, "depth": _draw_depth,
}  # fmt: skip


def _draw_timeline(loaded: Loaded, axes: Axes) -> None:
    """Events of one payment, a line for each source."""
    frame = loaded["timeline"]
    sources = list(dict.fromkeys(frame["source"]))
    for number, source in enumerate(sources):
        part = frame[frame["source"] == source]
        times = [moment.tz_localize(None).to_datetime64() for moment in part["at"]]
        axes.plot(times, [number] * len(times), "o", color=_colour("", number), markersize=7)
    axes.set_yticks(range(len(sources)), [_label(source) for source in sources])
    axes.set_ylim(-0.5, len(sources) - 0.5)
    axes.invert_yaxis()
    axes.grid(axis="y", color="#eef1f6")
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(f"Timeline of {_label(loaded.name)}, UTC", loc="left", fontsize=11, fontweight="bold")


def _draw_history(loaded: Loaded, axes: Axes) -> None:
    """Breaks from plan to plan, oldest first."""
    frame = loaded["plans"]
    counts = [0 if count is None else int(count) for count in _known(frame["breaks"])]
    bars = axes.bar(range(len(counts)), counts, color=_COLOURS[0], width=0.6)
    axes.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=8, padding=2)
    names = ["" if at is None else f"{at:%m-%d %H:%M}" for at in _known(frame["at"])]
    axes.set_xticks(range(len(counts)), names, fontsize=8)
    axes.set_ylabel("breaks")
    axes.set_title("Breaks from plan to plan, UTC", loc="left", fontsize=11, fontweight="bold")
