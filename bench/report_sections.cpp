// SPDX-License-Identifier: Apache-2.0
//
// report_sections: one section of the page for each file of figures. The drawings are in
// report_figures.cpp.
#include "report_figures.hpp"
#include "report_page.hpp"
#include "svg.hpp"

#include <iterator>

namespace viaduct::bench {

namespace {

struct Section {
    std::string_view file;
    std::string_view heading;
    std::string_view command;
    std::string_view what; ///< what was measured, and how to read it; HTML
    std::string (*figures)(const Measurement&);
};

constexpr Section kSections[]{
    {"message",
     "Reading a message",
     "scripts/bench --micro",
     "Each program reads the same 1,000 SIP messages again and again, from memory, on one core. "
     "Viaduct takes out what steering needs (&ldquo;digest&rdquo;: method, Call-ID, To-tag, CSeq) "
     "and hashes the Call-ID; the libraries know no such short way and parse the message whole. "
     "Shorter bars are better.",
     message_figures},
    {"pipeline",
     "All stages of a packet",
     "scripts/bench --micro",
     "Bursts of 32 packets go through everything that decides about a packet (classify, digest, "
     "admit, steer, rewrite), without network driver, on one core. 100,000 messages do not fit "
     "into the caches, so that the packet itself must be fetched from memory. Shorter bars are "
     "better; bars of equal length for more pools or servers mean that size costs nothing.",
     pipeline_figures},
    {"steer",
     "From a hash to a backend",
     "scripts/bench --micro",
     "What it takes to decide once the Call-ID is hashed. A slot that no change has moved is one "
     "look into a table; where a change has moved it, and in stateful pools, the call itself is "
     "looked for among those remembered. Shorter bars are better.",
     steer_figures},
    {"table",
     "The table of calls",
     "scripts/bench --micro",
     "The table by itself, and DPDK's hash table in its lock-free mode with keys of eight bytes "
     "beside it: 32 lookups at a time, in random order. Shorter bars are better.",
     table_figures},
    {"stages",
     "Where the cycles go",
     "scripts/bench --rig 1",
     "A build of its own reads the processor's time stamp counter between the stages while rig 1 "
     "runs. The bar is one packet from driver to driver; each part is what one stage takes of it.",
     stages_figures},
    {"rig1",
     "Rig 1: a capture replayed in the same process",
     "scripts/bench --rig 1",
     "DPDK's capture driver hands out the same messages from memory, for ever, as fast as they are "
     "taken, and throws away what is sent: no network limits this rig, only the program's own "
     "work. Longer bars are better. The plots by message size compare with what a wire "
     "could carry (message + 66 bytes of headers, preamble and gap): a point above a dashed line "
     "would fill that link with one core.",
     rig1_figures},
    {"rig2",
     "Rig 2: packets from another process",
     "scripts/bench --rig 2",
     "A generator in another process hands packets over through shared memory (vhost-user and "
     "virtio-user), as between virtual machines, and takes them back. Handing over "
     "costs much of the time, with any program in the middle: the ratio says how little of it is "
     "Viaduct's. "
     "Longer bars are better.",
     rig2_figures},
    {"latency",
     "Latency",
     "scripts/bench --rig 2",
     "The generator of rig 2 sends at 10, 50 and 90 % of each program's own maximum and writes the "
     "time into each message; what comes back tells how long it was away. Further left is better; "
     "far apart marks mean that some packets wait much longer than most.",
     latency_figures},
    {"rig3",
     "Rig 3: the kernel's interfaces",
     "scripts/bench --rig 3",
     "Sender, program and receiver stand in network namespaces joined by virtual Ethernet; a "
     "binary search finds the highest rate at which nothing is lost. This is the one rig that all "
     "three can run on, and the kernel bounds the fastest of them. Longer bars are better.",
     rig3_figures},
    {"no_pause",
     "No pause while things change",
     "scripts/bench --rig 2",
     "At a rate that rig 2 carries without loss, pools change: a hundred new snapshots, a drain, a "
     "new table for 200 servers, a storm of commands. The same without changes stands beside it: "
     "nothing may be lost, and the longest gap between two packets may hardly grow.",
     no_pause_figures},
    {"calls",
     "Calls",
     "scripts/bench --rig 3",
     "SIPp callers and servers make whole calls (INVITE, 180, 200, ACK, BYE, 200) through each "
     "program; the figure is the highest rate of calls at which none fails. SIPp is one thread and "
     "often the limit itself: the notes say so. Longer bars are better.",
     calls_figures},
};
static_assert(std::size(kSections) == kFiles.size());

std::string list(const char* summary, const std::vector<std::string>& lines) {
    if (lines.empty()) return {};
    std::string made = "<details><summary>" + std::string(summary) + "</summary>\n<pre>";
    for (const std::string& line : lines)
        made += escaped(line) + "\n";
    return made + "</pre></details>\n";
}

std::string all_figures(const Measurement& from) {
    std::string made = "<details><summary>All figures</summary>\n<div class=\"wide\"><table><thead>"
                       "<tr><th>Who</th><th>Load</th><th>Metric</th><th class=\"n\">Median</th>"
                       "<th class=\"n\">Smallest</th><th class=\"n\">Largest</th>"
                       "<th class=\"n\">Rounds</th></tr></thead><tbody>\n";
    for (const Sample& sample : from.samples) {
        const Spread spread = spread_of(sample.values);
        std::string metric = sample.metric;
        if (!sample.unit.empty()) metric += ", " + sample.unit;
        made += "<tr><td>" + escaped(sample.who) + "</td><td>" + escaped(sample.load) +
                "</td><td>" + escaped(metric) + "</td>";
        for (const double value : {spread.median, spread.low, spread.high})
            made += "<td class=\"n\">" + number(value) + "</td>";
        made += text("<td class=\"n\">%zu</td></tr>\n", sample.values.size());
    }
    return made + "</tbody></table></div></details>\n";
}

std::string measured(const Report& report, const Section& section, const Measurement& from) {
    std::string made = "<p class=\"soft\">Measured by <code>" + std::string(section.command) +
                       "</code>, " + age(report, from) + " before this page was made";
    if (!from.date.empty()) made += " (" + escaped(readable(from.date)) + ")";
    if (!from.commit.empty() && from.commit != report.commit)
        made += ", of commit <code>" + escaped(from.commit) + "</code>";
    made += ".</p>\n" + section.figures(from);
    if (!from.notes.empty()) {
        made += "<ul>\n";
        for (const std::string& note : from.notes)
            made += "<li>" + escaped(note) + "</li>\n";
        made += "</ul>\n";
    }
    return made + list("The commands that ran", from.commands) + all_figures(from);
}

} // namespace

std::string sections_html(const Report& report) {
    std::string made;
    for (const Section& section : kSections) {
        made += "<section>\n<h2 id=\"" + std::string(section.file) + "\">" +
                std::string(section.heading) + "</h2>\n<p>" + std::string(section.what) + "</p>\n";
        const auto found = report.measurements.find(section.file);
        made += found == report.measurements.end()
                    ? "<p><span class=\"tag wait\">not yet</span> <code>" +
                          std::string(section.command) + "</code> measures it.</p>\n"
                    : measured(report, section, found->second);
        made += "</section>\n";
    }
    return made;
}

} // namespace viaduct::bench
