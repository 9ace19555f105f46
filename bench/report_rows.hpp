// SPDX-License-Identifier: Apache-2.0
//
// report_rows: measurements -> the table of marks: what was promised, what was measured, reached or
// not.
//
// A ratio is taken round by round, value i of one with value i of the other, because the machine's
// noise hits both alike; its median is the row's value, the smallest and the largest its spread.
#pragma once

#include "measurement.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::bench {

/// By name: `rig1` of rig1.json.
using Measurements = std::map<std::string, Measurement, std::less<>>;

/// All files a report may be made of, in the order they are shown in.
inline constexpr std::array<std::string_view, 11> kFiles{"message",
                                                         "pipeline",
                                                         "steer",
                                                         "table",
                                                         "stages",
                                                         "rig1",
                                                         "rig2",
                                                         "latency",
                                                         "rig3",
                                                         "no_pause",
                                                         "calls"};

/// Those of kFiles that `folder` has. Throws when one is broken.
[[nodiscard]] Measurements read_measurements(const std::string& folder);

enum class Better : std::uint8_t { Larger, Smaller };
enum class Derive : std::uint8_t {
    Ratio,  ///< subject / peer, round by round
    Plain,  ///< the subject's values
    Sum,    ///< all values of the subject, under any load
    NotYet, ///< nothing measures it: the feature does not exist
};

/// One mark, and what it is derived from.
struct RowSpec {
    std::string_view id;
    std::string_view what;    ///< for people
    std::string_view against; ///< for people
    std::string_view unit;    ///< behind the number: `x`, `ns`
    double reach = 0;
    double stretch = 0;
    Better better = Better::Larger;
    Derive derive = Derive::Ratio;
    std::string_view file;
    std::string_view load;
    std::string_view metric;
    std::string_view subject; ///< above the line of a ratio
    std::string_view peer;    ///< below it
};

inline constexpr std::array kRows{
    RowSpec{"digest_vs_libosip2",
            "Reading a message: Call-ID, method, To-tag, CSeq, and the keyed hash",
            "libosip2 parsing the same messages",
            "x",
            80,
            140,
            Better::Larger,
            Derive::Ratio,
            "message",
            "mix of 1000",
            "ns_per_message",
            "libosip2", // times: the longer one is above the line
            "viaduct_best"},
    RowSpec{"digest_vs_sofia",
            "The same",
            "sofia-sip parsing the same messages",
            "x",
            50,
            85,
            Better::Larger,
            Derive::Ratio,
            "message",
            "mix of 1000",
            "ns_per_message",
            "sofia",
            "viaduct_best"},
    RowSpec{"stages_ns",
            "All stages of a packet, without network driver: hash steering, dsr-l2",
            "a fixed mark",
            "ns",
            85,
            57,
            Better::Smaller,
            Derive::Plain,
            "pipeline",
            "1000 messages",
            "ns_per_packet",
            "stages",
            ""},
    RowSpec{"rig1_vs_testpmd",
            "Packets/s of one worker, a capture replayed in its own process (rig 1)",
            "dpdk-testpmd, which only swaps MAC addresses, in the same place",
            "x",
            0.25,
            0.33,
            Better::Larger,
            Derive::Ratio,
            "rig1",
            "1000 Call-IDs",
            "pps",
            "viaduct",
            "testpmd"},
    RowSpec{"rig2_vs_testpmd",
            "Packets/s of one worker, packets from another process (rig 2)",
            "dpdk-testpmd in the same place",
            "x",
            0.85,
            0.95,
            Better::Larger,
            Derive::Ratio,
            "rig2",
            "1000 Call-IDs",
            "pps",
            "viaduct",
            "testpmd"},
    RowSpec{"rig3_vs_kamailio",
            "Messages/s without loss of one worker over the kernel's interfaces (rig 3)",
            "Kamailio, stateless dispatcher, one process",
            "x",
            8,
            12,
            Better::Larger,
            Derive::Ratio,
            "rig3",
            "1000 Call-IDs",
            "ndr_pps",
            "viaduct",
            "kamailio"},
    RowSpec{"stateful_vs_hash",
            "Packets/s with 10 million calls remembered",
            "the same worker steering by hash only",
            "x",
            0.6,
            0.8,
            Better::Larger,
            Derive::Ratio,
            "pipeline",
            "10000000 calls",
            "ns_per_packet",
            "hash", // times: the one of the peer is above the line
            "stateful"},
    RowSpec{"worst_message",
            "The dearest message of all corpora, time per byte",
            "a typical INVITE",
            "x",
            4,
            2,
            Better::Smaller,
            Derive::Plain,
            "message",
            "corpora",
            "worst_ratio",
            "worst",
            ""},
    RowSpec{"loss_on_change",
            "Packets lost while pools change under load",
            "nothing at all",
            "packets",
            0,
            0,
            Better::Smaller,
            Derive::Sum,
            "no_pause",
            "",
            "lost",
            "changing",
            ""},
};

struct Row {
    const RowSpec* spec = nullptr;
    std::optional<Spread> value; ///< empty: not yet
    std::string why_not_yet;     ///< empty when there is a value

    [[nodiscard]] bool is_at_least(double mark) const {
        return value &&
               (spec->better == Better::Larger ? value->median >= mark : value->median <= mark);
    }
    [[nodiscard]] bool reached() const { return is_at_least(spec->reach); }
    [[nodiscard]] bool stretched() const { return is_at_least(spec->stretch); }
};

/// As kRows, one by one. Throws when two samples that belong together have not the same rounds.
[[nodiscard]] std::vector<Row> derive_rows(const Measurements& measurements);

/// above / below, round by round; empty when `below` is 0 somewhere. Throws when they have not the
/// same number of rounds.
[[nodiscard]] std::vector<double> ratios(const Sample& above, const Sample& below);

} // namespace viaduct::bench
