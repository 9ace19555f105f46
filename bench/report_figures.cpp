// SPDX-License-Identifier: Apache-2.0
#include "report_figures.hpp"

#include "machine.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace viaduct::bench {

namespace {

std::string name_of(std::string_view who) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames{
        {{"viaduct", "Viaduct"},
         {"testpmd", "dpdk-testpmd"},
         {"kamailio", "Kamailio"},
         {"sofia", "sofia-sip"}}};
    for (const auto& [short_name, name] : kNames)
        if (who == short_name) return std::string(name);
    return std::string(who);
}

std::string figure(const std::string& heading, const std::string& drawing, const std::string& how) {
    if (drawing.empty()) return {};
    return "<figure><h3>" + escaped(heading) + "</h3>\n" + drawing + "<figcaption>" + escaped(how) +
           "</figcaption></figure>\n";
}
std::string charts(const std::string& figures) {
    return figures.empty() ? "" : "<div class=\"charts\">\n" + figures + "</div>\n";
}

/// What a bar shows, and under which words; empty words: who, by name.
struct Shown {
    std::string_view who;
    std::string_view load;
    std::string label;
};

std::string bars(const Measurement& from,
                 const std::string& id,
                 const std::string& heading,
                 std::string_view metric,
                 std::string_view unit,
                 const std::vector<Shown>& all) {
    std::vector<Bar> found;
    std::size_t rounds = 0;
    std::string description;
    for (const Shown& shown : all) {
        const Sample* sample = from.find(shown.who, shown.load, metric);
        if (sample == nullptr) continue;
        rounds = sample->values.size();
        found.push_back({shown.label.empty() ? name_of(shown.who) : shown.label,
                         spread_of(sample->values),
                         shown.who.starts_with("viaduct") || shown.who == "stages"});
        description += found.back().label + ": " + number(found.back().value.median) + ". ";
    }
    if (found.empty()) return {};
    return figure(heading,
                  bar_chart({from.name + "-" + id, heading + ", " + std::string(unit), description},
                            unit,
                            found),
                  text("Bar: median of %zu rounds. Whisker: smallest to largest round.", rounds));
}

/// "100000 Call-IDs" as "100,000 Call-IDs".
std::string readable(const std::string& load) {
    const std::size_t digits = std::min(load.find_first_not_of("0123456789"), load.size());
    if (digits == 0) return load;
    return number(std::strtod(load.c_str(), nullptr)) + load.substr(digits);
}

/// Bytes of SIP in "800 bytes"; 0 when it says something else.
double bytes_of(std::string_view load) {
    return load.ends_with(" bytes") ? std::strtod(std::string(load).c_str(), nullptr) : 0;
}

/// Headers, checksum, preamble and gap around a SIP message on untagged Ethernet over IPv4.
constexpr double kWireBytes = 66;

/// Samples by message size as a line; y = packets/s * factor(bytes).
template <typename Factor>
Line line_by_size(const Measurement& from, std::string_view who, LineKind kind, Factor factor) {
    Line made{name_of(who), kind, {}};
    for (const Sample& sample : from.samples) {
        const double bytes = bytes_of(sample.load);
        if (sample.who != who || sample.metric != "pps" || bytes == 0) continue;
        const Spread pps = spread_of(sample.values);
        const double by = factor(bytes);
        made.points.push_back({bytes, {pps.median * by, pps.low * by, pps.high * by}});
    }
    std::ranges::sort(made.points, {}, &Line::Point::x);
    return made;
}

/// What a link of so many Gbit/s carries: y = bits/s * factor(bytes) / bits of a message.
template <typename Factor>
std::vector<Line> links(const std::vector<Line::Point>& sizes, Factor factor) {
    std::vector<Line> made;
    for (const double gigabits : {10.0, 25.0, 100.0}) {
        Line link{text("%.0f GbE", gigabits), LineKind::Limit, {}};
        for (const Line::Point& size : sizes) {
            const double y = gigabits * 1e9 / (8 * (size.x + kWireBytes)) * factor(size.x);
            link.points.push_back({size.x, {y, y, y}});
        }
        made.push_back(std::move(link));
    }
    return made;
}

template <typename Factor>
std::string by_size(const Measurement& from,
                    const std::string& id,
                    const std::string& heading,
                    std::string_view unit,
                    Factor factor) {
    std::vector<Line> lines{line_by_size(from, "viaduct", LineKind::Ours, factor),
                            line_by_size(from, "testpmd", LineKind::Peer, factor)};
    if (lines[0].points.empty()) return {};
    for (Line& link : links(lines[0].points, factor))
        lines.push_back(std::move(link));
    std::string description = "Viaduct: ";
    for (const Line::Point& point : lines[0].points)
        description += number(point.y.median) + " at " + number(point.x) + " bytes, ";
    description += "against the limits of 10, 25 and 100 Gbit/s Ethernet.";
    return figure(heading,
                  line_chart({from.name + "-" + id, heading, description},
                             "SIP message, bytes",
                             std::string(unit) + ", logarithmic",
                             lines),
                  "Dashed: what a link can carry of messages of this size. One core.");
}

std::string cell(const Sample* sample) {
    if (sample == nullptr) return "<td class=\"n\">-</td>";
    const Spread spread = spread_of(sample->values);
    std::string made = "<td class=\"n\">" + number(spread.median);
    if (spread.low != spread.high)
        made +=
            " <span class=\"sub\">" + number(spread.low) + " to " + number(spread.high) + "</span>";
    return made + "</td>";
}

/// The loads that samples of this metric have, in their order, each once.
std::vector<std::string> loads_of(const Measurement& from, std::string_view metric) {
    std::vector<std::string> loads;
    for (const Sample& sample : from.samples)
        if (sample.metric == metric && std::ranges::find(loads, sample.load) == loads.end())
            loads.push_back(sample.load);
    return loads;
}

} // namespace

std::string message_figures(const Measurement& from) {
    constexpr std::string_view kLoad = "mix of 1000";
    const Sample* best = from.find("viaduct_best", kLoad, "ns_per_message");
    const std::string level =
        best != nullptr && best->remarks.contains("level") ? ", " + best->remarks.at("level") : "";
    std::string made = charts(bars(from,
                                   "peers",
                                   "Time to read one message",
                                   "ns_per_message",
                                   "ns",
                                   {{"viaduct_best", kLoad, "Viaduct, digest and hash" + level},
                                    {"viaduct_full", kLoad, "Viaduct, everything a message has"},
                                    {"sofia", kLoad, ""},
                                    {"libosip2", kLoad, ""},
                                    {"libre", kLoad, ""}}) +
                              bars(from,
                                   "levels",
                                   "Viaduct by the processor's vector instructions",
                                   "ns_per_message",
                                   "ns",
                                   {{"viaduct_scalar", kLoad, "none (scalar)"},
                                    {"viaduct_sse4.2", kLoad, "SSE 4.2"},
                                    {"viaduct_avx2", kLoad, "AVX2"},
                                    {"viaduct_avx512", kLoad, "AVX-512"}}));
    if (const Sample* worst = from.find("worst", "corpora", "worst_ratio")) {
        const Spread spread = spread_of(worst->values);
        made += "<p>The dearest message of all corpora takes <strong>" + number(spread.median) +
                " times</strong> (" + number(spread.low) + " to " + number(spread.high) +
                ") as long a byte as a typical INVITE";
        if (worst->remarks.contains("worst_message"))
            made += ": <code>" + escaped(worst->remarks.at("worst_message")) + "</code>";
        made += ". Messages made to be dear cost more: bench/README.md has them.</p>\n";
    }
    return made;
}

std::string pipeline_figures(const Measurement& from) {
    return charts(bars(from,
                       "stages",
                       "All stages, and libosip2's parse alone",
                       "ns_per_packet",
                       "ns",
                       {{"stages", "1000 messages", "Viaduct, 1,000 messages"},
                        {"stages", "100000 messages", "Viaduct, 100,000 messages"},
                        {"libosip2", "1000 messages", "libosip2, parse only"}}) +
                  bars(from,
                       "pools",
                       "Scaling by pools, 3 servers each",
                       "ns_per_packet",
                       "ns",
                       {{"stages", "pools=1", "1 pool"},
                        {"stages", "pools=10", "10 pools"},
                        {"stages", "pools=100", "100 pools"}}) +
                  bars(from,
                       "backends",
                       "Scaling by servers in one pool",
                       "ns_per_packet",
                       "ns",
                       {{"stages", "backends=3", "3 servers"},
                        {"stages", "backends=30", "30 servers"},
                        {"stages", "backends=300", "300 servers"}}));
}

std::string steer_figures(const Measurement& from) {
    return charts(bars(from,
                       "steer",
                       "Time from a hash to a backend",
                       "ns_per_message",
                       "ns",
                       {{"settled", "1000000 calls", "settled slot"},
                        {"unsettled hit", "1000000 calls", "unsettled, call remembered"},
                        {"unsettled miss", "1000000 calls", "unsettled, nothing remembered"},
                        {"unsettled, begins", "1000000 calls", "unsettled, a call begins"},
                        {"stateful, begins", "1000000 calls", "stateful, a call begins"},
                        {"stateful hit", "10000 calls", "stateful, 10,000 calls"},
                        {"stateful hit", "1000000 calls", "stateful, 1 million calls"},
                        {"stateful hit", "10000000 calls", "stateful, 10 million calls"}}));
}

std::string table_figures(const Measurement& from) {
    const auto lookups = [&](const char* id, const char* title, const char* load) {
        return bars(from,
                    id,
                    title,
                    "ns_per_lookup",
                    "ns",
                    {{"hit", load, "Viaduct, found"},
                     {"miss", load, "Viaduct, not there"},
                     {"rte_hash hit", load, "rte_hash, found"},
                     {"rte_hash miss", load, "rte_hash, not there"}});
    };
    return charts(lookups("table-1m", "A lookup among 1 million calls", "1000000 calls") +
                  lookups("table-10m", "A lookup among 10 million calls", "10000000 calls"));
}

std::string stages_figures(const Measurement& from) {
    std::vector<Part> parts;
    const double clock = cycles_per_ns();
    std::string description;
    for (const char* stage :
         {"rx", "classify", "digest", "admit", "steer", "rewrite", "tx", "rest"}) {
        const Sample* sample = from.find(stage, "rig1", "cycles_per_packet");
        if (sample == nullptr) continue;
        const double cycles = spread_of(sample->values).median;
        parts.push_back(
            {stage, cycles, clock > 0 ? text(" = %s ns", number(cycles / clock).c_str()) : ""});
        description += std::string(stage) + ": " + number(cycles) + " cycles. ";
    }
    if (parts.empty()) return {};
    std::string all;
    if (const Sample* sample = from.find("all", "rig1", "cycles_per_packet"))
        all = "The whole loop: " + number(spread_of(sample->values).median) +
              " cycles a packet, reading the clock included. ";
    return charts(
        figure("Cycles of one packet in rig 1",
               stacked_bar({"stages-stack", "Cycles of one packet", description}, "cycles", parts),
               all + "rx and tx: DPDK's driver. rest: what lies between."));
}

std::string rig1_figures(const Measurement& from) {
    return charts(
        bars(from,
             "thousand",
             "Packets a second, 1,000 Call-IDs",
             "pps",
             "packets/s",
             {{"viaduct", "1000 Call-IDs", ""}, {"testpmd", "1000 Call-IDs", ""}}) +
        by_size(from,
                "mpps",
                "Packets by message size",
                "million packets/s",
                [](double) { return 1e-6; }) +
        by_size(from, "gbps", "The same on the wire", "Gbit/s on the wire", [](double bytes) {
            return (bytes + kWireBytes) * 8e-9;
        }));
}

std::string rig2_figures(const Measurement& from) {
    std::string made;
    for (const std::string& load : loads_of(from, "pps"))
        made += bars(from,
                     load.substr(0, load.find(' ')),
                     "Packets a second, " + readable(load),
                     "pps",
                     "packets/s",
                     {{"viaduct", load, ""}, {"testpmd", load, ""}});
    return charts(made);
}

std::string latency_figures(const Measurement& from) {
    std::vector<DotLine> lines;
    std::string description;
    for (const std::string& load : loads_of(from, "p50_us"))
        for (const char* who : {"viaduct", "testpmd"}) {
            DotLine line{name_of(who) + ", " + load, {}, std::string_view(who) == "viaduct"};
            for (const char* metric : {"p50_us", "p99_us", "p999_us"})
                if (const Sample* sample = from.find(who, load, metric))
                    line.values.push_back(spread_of(sample->values).median);
            if (line.values.size() != 3) continue;
            description += line.label + ": median " + number(line.values[0]) + ", p99 " +
                           number(line.values[1]) + ", p99.9 " + number(line.values[2]) + " us. ";
            lines.push_back(std::move(line));
        }
    return charts(figure(
        "Time on the way, by load",
        dot_chart(
            {"latency-dots", "Latency by load", description}, "µs", {"p50", "p99", "p99.9"}, lines),
        "Medians of all rounds. The load is a share of the program's own maximum."));
}

std::string rig3_figures(const Measurement& from) {
    return charts(bars(from,
                       "ndr",
                       "Messages a second without loss",
                       "ndr_pps",
                       "messages/s",
                       {{"viaduct", "1000 Call-IDs", ""},
                        {"testpmd", "1000 Call-IDs", ""},
                        {"kamailio", "1000 Call-IDs", ""}}));
}

std::string no_pause_figures(const Measurement& from) {
    std::string made = "<div class=\"wide\"><table><thead><tr><th>Rate</th><th></th>"
                       "<th class=\"n\">Packets lost, a round</th>"
                       "<th class=\"n\">Longest gap, µs</th></tr></thead><tbody>\n";
    for (const std::string& load : loads_of(from, "lost"))
        for (const auto& [who, words] :
             {std::pair{"quiet", "nothing changes"}, std::pair{"changing", "pools change"}})
            made += "<tr><td>" + escaped(readable(load)) + "</td><td>" + words + "</td>" +
                    cell(from.find(who, load, "lost")) +
                    cell(from.find(who, load, "longest_gap_us")) + "</tr>\n";
    return made + "</tbody></table></div>\n";
}

std::string calls_figures(const Measurement& from) {
    return charts(bars(from,
                       "rate",
                       "Calls a second, none failed",
                       "cps",
                       "calls/s",
                       {{"viaduct", "calls/s", ""}, {"kamailio", "calls/s", ""}}));
}

} // namespace viaduct::bench
