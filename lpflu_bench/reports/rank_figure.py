"""The critical-difference diagram of average ranks."""

from matplotlib.figure import Figure

from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.reports.drawing import INK, Drawing


def critical_differences(ranks: Ranks) -> Drawing:
    """Draw Demšar's diagram: functions at their average rank, bars over those that their ranks do not tell apart."""
    names = list(ranks.average)
    count = len(names)
    half = (count + 1) // 2
    floor = -0.55 - 0.24 * len(ranks.groups)
    bottom, top = floor - 0.34 * (half - 1) - 0.25, 1.5
    margin = 1.0 + 0.08 * max(map(len, names))  # inches, for a name and its rank
    figure = Figure(figsize=(3.4 + 2 * margin, 0.72 * (top - bottom)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(1 - margin * (count - 1) / 3.4, count + margin * (count - 1) / 3.4)
    axes.set_ylim(bottom, top)
    axes.plot([1, count], [0, 0], color=INK, linewidth=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=8.5)
    axes.plot([1, 1 + ranks.critical_difference], [0.95, 0.95], color=INK, linewidth=1.6, marker="|", markersize=7)
    axes.text(1, 1.1, f"critical difference {ranks.critical_difference:.2f}", ha="left", va="bottom", fontsize=8.5)
    reach = 0.09 * (count - 1) + 0.1
    for index, name in enumerate(names):
        rank = ranks.average[name]
        best_side = index < half
        level = floor - 0.34 * (index if best_side else count - 1 - index)
        edge = 1 - reach if best_side else count + reach
        axes.plot([rank, rank, edge], [0, level, level], color=INK, linewidth=0.9)
        text = f"{name}  {rank:.2f}" if best_side else f"{rank:.2f}  {name}"
        side = "right" if best_side else "left"
        axes.annotate(
            text, (edge, level), (-4 if best_side else 4, 0), textcoords="offset points", ha=side, va="center"
        )
    for index, group in enumerate(ranks.groups):
        level = -0.3 - 0.24 * index
        ends = [ranks.average[group[0]] - 0.04, ranks.average[group[-1]] + 0.04]
        axes.plot(ends, [level, level], color="#0f7fc4", linewidth=4, solid_capstyle="round")
    return Drawing(
        "critical-difference",
        "ranks",
        "Average ranks",
        f"Best on the left (rank 1), over {ranks.rows} rows with trained networks of their own. Functions under one bar are "
        f"not told apart: their average ranks differ by less than Nemenyi's critical difference at {ranks.alpha:g}"
        + ("." if ranks.p < ranks.alpha else ", or Friedman's test does not find them to differ at all."),
        figure,
    )
