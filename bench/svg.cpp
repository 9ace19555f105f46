// SPDX-License-Identifier: Apache-2.0
#include "svg.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace viaduct::bench {

const std::string_view kChartStyle = R"(
svg { display: block; width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); }
svg .soft { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--grid); stroke-width: 1; }
svg .ours { fill: var(--ours); } svg .peer { fill: var(--peer); }
svg .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg .line-ours { stroke: var(--ours); stroke-width: 2.5; fill: none; }
svg .line-peer { stroke: var(--peer-line); stroke-width: 2.5; fill: none; }
svg .line-limit { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
svg .point-ours { fill: var(--ours); stroke: var(--paper); stroke-width: 1.5; }
svg .point-peer { fill: var(--peer-line); stroke: var(--paper); stroke-width: 1.5; }
svg .s0 { fill: var(--s0); } svg .s1 { fill: var(--s1); } svg .s2 { fill: var(--s2); }
svg .s3 { fill: var(--s3); } svg .s4 { fill: var(--s4); } svg .s5 { fill: var(--s5); }
svg .s6 { fill: var(--s6); } svg .s7 { fill: var(--s7); }
)";

namespace {

constexpr double kWidth = 480;

std::string drawing(const Caption& caption, double height, const std::string& content) {
    const std::string id = escaped(caption.id);
    return text("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">",
                kWidth,
                height,
                id.c_str(),
                id.c_str()) +
           "<title id=\"" + id + "-t\">" + escaped(caption.title) + "</title><desc id=\"" + id +
           "-d\">" + escaped(caption.description) + "</desc>\n" + content + "</svg>\n";
}

std::string rect(const char* style, double x, double y, double width, double height) {
    return text("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                style,
                x,
                y,
                std::max(width, 1.0),
                height);
}
std::string line(const char* style, double x1, double y1, double x2, double y2) {
    return text("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                style,
                x1,
                y1,
                x2,
                y2);
}
std::string
words(const char* style, const char* anchor, double x, double y, std::string_view content) {
    return text("<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">",
                style,
                anchor,
                x,
                y) +
           escaped(content) + "</text>\n";
}

/// A mark for one of several values on a line: circle, square, triangle.
std::string mark(std::size_t kind, const char* style, double x, double y) {
    constexpr double kSize = 6;
    if (kind == 0)
        return text(
            "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", style, x, y, kSize);
    if (kind == 1)
        return rect(style, x - kSize + 0.5, y - kSize + 0.5, 2 * kSize - 1, 2 * kSize - 1);
    return text("<path class=\"%s\" d=\"M%.1f %.1fl%.1f %.1fh-%.1fz\"/>",
                style,
                x,
                y - kSize,
                kSize,
                2 * kSize,
                2 * kSize);
}

std::string spread_words(const Spread& value) {
    if (value.low == value.high) return "";
    return " (" + amount(value.low) + " to " + amount(value.high) + ")";
}

/// A logarithmic axis that covers [low, high].
class LogAxis {
public:
    LogAxis(double low, double high, double from, double to)
        : from_(from), to_(to), low_(std::log10(low)), high_(std::log10(high)) {
        const double spare = std::max((high_ - low_) * 0.06, 0.08);
        low_ -= spare;
        high_ += spare;
    }
    [[nodiscard]] double at(double value) const {
        return from_ + (std::log10(value) - low_) / (high_ - low_) * (to_ - from_);
    }
    /// 1, 2, 5, 10, ...; fewer when there are many.
    [[nodiscard]] std::vector<double> ticks() const {
        const bool few = high_ - low_ > 2.2;
        std::vector<double> found;
        for (int power = static_cast<int>(std::floor(low_)); power <= high_; ++power)
            for (const double step : {1.0, 2.0, 5.0}) {
                const double value = step * std::pow(10, power);
                const double place = std::log10(value);
                if (place >= low_ && place <= high_ && (!few || step == 1.0))
                    found.push_back(value);
            }
        return found;
    }

private:
    double from_, to_, low_, high_;
};

struct Range {
    double low = 0;
    double high = 0;
    void take(double value) {
        if (value <= 0) return; // has no place on a logarithmic axis
        low = low == 0 ? value : std::min(low, value);
        high = std::max(high, value);
    }
};

const char* style_of(LineKind kind) {
    switch (kind) {
    case LineKind::Ours:
        return "line-ours";
    case LineKind::Peer:
        return "line-peer";
    case LineKind::Limit:
        break;
    }
    return "line-limit";
}

/// Where a value of a line chart stands.
struct Plot {
    static constexpr double kLeft = 44, kRight = kWidth - 66, kTop = 40, kBottom = 270;
    Range x;
    LogAxis y;
    [[nodiscard]] double x_of(double value) const {
        const double span = std::max(x.high - x.low, 1.0);
        return kLeft + 8 + (value - x.low) / span * (kRight - kLeft - 8);
    }
};

std::string mark_of(LineKind kind, double x, double y) {
    return kind == LineKind::Ours ? mark(0, "point-ours", x, y) : mark(1, "point-peer", x, y);
}

std::string path_of(const Plot& plot, const Line& of) {
    std::string path;
    for (const Line::Point& point : of.points)
        if (point.y.median > 0)
            path += text("%c%.1f %.1f",
                         path.empty() ? 'M' : 'L',
                         plot.x_of(point.x),
                         plot.y.at(point.y.median));
    return text("<path class=\"%s\" d=\"%s\"/>\n", style_of(of.kind), path.c_str());
}

/// A mark for each median, a whisker for each spread.
std::string points_of(const Plot& plot, const Line& of) {
    std::string made;
    for (const Line::Point& point : of.points) {
        if (point.y.low <= 0) continue;
        const double x = plot.x_of(point.x);
        made += "<g><title>" +
                escaped(of.name + ", " + number(point.x) + ": " + number(point.y.median) +
                        spread_words(point.y)) +
                "</title>" +
                line("whisker", x, plot.y.at(point.y.low), x, plot.y.at(point.y.high)) +
                mark_of(of.kind, x, plot.y.at(point.y.median)) + "</g>\n";
    }
    return made;
}

} // namespace

std::string escaped(std::string_view text) {
    std::string made;
    for (const char c : text) {
        switch (c) {
        case '&':
            made += "&amp;";
            break;
        case '<':
            made += "&lt;";
            break;
        case '>':
            made += "&gt;";
            break;
        case '"':
            made += "&quot;";
            break;
        default:
            made += c;
        }
    }
    return made;
}

std::string amount(double value) {
    return value >= 1e6 ? number(value / 1e6) + " M" : number(value);
}

std::string bar_chart(const Caption& caption, std::string_view unit, const std::vector<Bar>& bars) {
    constexpr double kRow = 46;
    double most = 0;
    for (const Bar& bar : bars)
        most = std::max(most, bar.value.high);
    if (most == 0) most = 1;
    std::string content;
    double y = 0;
    for (const Bar& bar : bars) {
        const auto x_of = [&](double value) { return 1 + value / most * (kWidth - 4); };
        const std::string value = amount(bar.value.median) + " " + std::string(unit);
        content += words("", "start", 0, y + 15, bar.label);
        content += words("", "end", kWidth, y + 15, value);
        const double middle = y + 29;
        content +=
            "<g><title>" + escaped(bar.label + ": " + value + spread_words(bar.value)) + "</title>";
        content += rect(bar.ours ? "ours" : "peer", 0, middle - 7, x_of(bar.value.median), 14);
        if (bar.value.low != bar.value.high) {
            const double low = x_of(bar.value.low);
            const double high = x_of(bar.value.high);
            content += line("whisker", low, middle, high, middle) +
                       line("whisker", low, middle - 5, low, middle + 5) +
                       line("whisker", high, middle - 5, high, middle + 5);
        }
        content += "</g>\n";
        y += kRow;
    }
    return drawing(caption, y, content);
}

std::string
stacked_bar(const Caption& caption, std::string_view unit, const std::vector<Part>& parts) {
    constexpr std::size_t kColours = 8;
    double all = 0;
    for (const Part& part : parts)
        all += part.value;
    if (all <= 0) all = 1;
    std::string content;
    double x = 0;
    double y = 62;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Part& part = parts[i];
        const std::string style = text("s%zu", i % kColours);
        const double width = part.value / all * kWidth;
        const std::string value = number(part.value) + " " + std::string(unit) + part.remark;
        content += "<g><title>" + escaped(part.label + ": " + value) + "</title>" +
                   rect(style.c_str(), x, 4, width - 2, 36) + "</g>"; // 2: a gap between parts
        content += rect(style.c_str(), 0, y - 11, 12, 12);
        content += words("", "start", 20, y, part.label);
        content += words("", "end", kWidth - 60, y, value);
        content += words("soft", "end", kWidth, y, text("%.0f %%", 100 * part.value / all));
        x += width;
        y += 23;
    }
    return drawing(caption, y - 8, content);
}

std::string dot_chart(const Caption& caption,
                      std::string_view unit,
                      const std::vector<std::string>& names,
                      const std::vector<DotLine>& lines) {
    constexpr double kRow = 44;
    Range range;
    for (const DotLine& each : lines)
        for (const double value : each.values)
            range.take(value);
    if (range.high == 0) return {};
    const LogAxis axis(range.low, range.high, 8, kWidth - 8);
    std::string content;
    double x = 0;
    for (std::size_t i = 0; i < names.size(); ++i) { // what the marks mean
        content += mark(i, "point-ours", x + 8, 11) + words("", "start", x + 20, 15, names[i]);
        x += 40 + 8 * static_cast<double>(names[i].size());
    }
    const double top = 28;
    const double bottom = top + kRow * static_cast<double>(lines.size());
    for (const double tick : axis.ticks())
        content += line("grid", axis.at(tick), top, axis.at(tick), bottom) +
                   words("soft", "middle", axis.at(tick), bottom + 15, number(tick));
    content += words("soft", "end", kWidth, bottom + 32, std::string(unit) + ", logarithmic");
    double y = top;
    for (const DotLine& each : lines) {
        std::string values;
        for (const double value : each.values)
            values += (values.empty() ? "" : " / ") + number(value);
        content += words("", "start", 0, y + 15, each.label);
        content += words("", "end", kWidth, y + 15, values + " " + std::string(unit));
        const char* style = each.ours ? "point-ours" : "point-peer";
        const auto [first, last] = std::ranges::minmax(each.values);
        if (first > 0)
            content += line(each.ours ? "line-ours" : "line-peer",
                            axis.at(first),
                            y + 29,
                            axis.at(last),
                            y + 29);
        for (std::size_t i = 0; i < each.values.size(); ++i)
            if (each.values[i] > 0) content += mark(i, style, axis.at(each.values[i]), y + 29);
        content += "\n";
        y += kRow;
    }
    return drawing(caption, bottom + 38, content);
}

std::string line_chart(const Caption& caption,
                       std::string_view x_name,
                       std::string_view y_name,
                       const std::vector<Line>& lines) {
    Range xs;
    Range ys;
    for (const Line& each : lines)
        for (const Line::Point& point : each.points) {
            xs.take(point.x);
            ys.take(point.y.low);
            ys.take(point.y.high);
        }
    if (xs.high == 0 || ys.high == 0) return {};
    const Plot plot{xs, LogAxis(ys.low, ys.high, Plot::kBottom, Plot::kTop)};
    std::string content;
    for (const double tick : plot.y.ticks())
        content += line("grid", Plot::kLeft, plot.y.at(tick), Plot::kRight, plot.y.at(tick)) +
                   words("soft", "end", Plot::kLeft - 6, plot.y.at(tick) + 4, number(tick));
    std::set<double> sizes;
    double legend = 0;
    for (const Line& each : lines) {
        content += path_of(plot, each);
        if (each.kind == LineKind::Limit) { // named where it ends
            if (!each.points.empty())
                content += words("soft",
                                 "start",
                                 Plot::kRight + 5,
                                 plot.y.at(each.points.back().y.median) + 4,
                                 each.name);
            continue;
        }
        content += points_of(plot, each);
        for (const Line::Point& point : each.points)
            sizes.insert(point.x);
        content +=
            mark_of(each.kind, legend + 8, 11) + words("", "start", legend + 20, 15, each.name);
        legend += 48 + 8 * static_cast<double>(each.name.size());
    }
    for (const double size : sizes)
        content += words("soft", "middle", plot.x_of(size), Plot::kBottom + 17, text("%.0f", size));
    content += words("soft", "start", 0, Plot::kTop - 7, y_name);
    content += words("soft", "end", Plot::kRight, Plot::kBottom + 34, x_name);
    return drawing(caption, Plot::kBottom + 40, content);
}

} // namespace viaduct::bench
