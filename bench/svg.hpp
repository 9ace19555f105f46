// SPDX-License-Identifier: Apache-2.0
//
// svg: figures -> inline SVG for a page that brings the style sheet kChartStyle.
//
// Drawings are 480 wide and stretch to the column they are in, so that their text stays readable on
// a phone. Colours are the page's variables: light and dark come of the style sheet. All text given
// is escaped here.
#pragma once

#include "measurement.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::bench {

extern const std::string_view kChartStyle;

/// For HTML and SVG, as content or as an attribute's value.
[[nodiscard]] std::string escaped(std::string_view text);

/// "9.12 M", "33,400": with M from a million on.
[[nodiscard]] std::string amount(double value);

/// Who reads the page by ear gets these two.
struct Caption {
    std::string id; ///< unique in the page
    std::string title;
    std::string description;
};

/// Horizontal bars from 0 to the median, with whiskers from the smallest to the largest value.
struct Bar {
    std::string label;
    Spread value;
    bool ours = false;
};
[[nodiscard]] std::string
bar_chart(const Caption& caption, std::string_view unit, const std::vector<Bar>& bars);

/// One bar of parts, and what each of them is.
struct Part {
    std::string label;
    double value = 0;
    std::string remark; ///< behind the value
};
[[nodiscard]] std::string
stacked_bar(const Caption& caption, std::string_view unit, const std::vector<Part>& parts);

/// Points on a logarithmic axis, one line each; every line has as many points as there are names.
struct DotLine {
    std::string label;
    std::vector<double> values;
    bool ours = false;
};
[[nodiscard]] std::string dot_chart(const Caption& caption,
                                    std::string_view unit,
                                    const std::vector<std::string>& names,
                                    const std::vector<DotLine>& lines);

/// Lines over a linear x axis, a logarithmic y axis.
enum class LineKind : std::uint8_t { Ours, Peer, Limit };
struct Line {
    struct Point {
        double x = 0;
        Spread y;
    };
    std::string name;
    LineKind kind = LineKind::Ours;
    std::vector<Point> points; ///< sorted by x
};
[[nodiscard]] std::string line_chart(const Caption& caption,
                                     std::string_view x_name,
                                     std::string_view y_name,
                                     const std::vector<Line>& lines);

} // namespace viaduct::bench
