// SPDX-License-Identifier: Apache-2.0
#include "report_page.hpp"

#include "svg.hpp"

#include <algorithm>

namespace viaduct::bench {

namespace {

constexpr std::string_view kStyle = R"(
:root { --paper: #fcfcfb; --card: #ffffff; --ink: #1b1c1e; --soft: #5d6066; --grid: #e3e4e6;
  --link: #1d5fbf; --ours: #2a78d6; --peer: #b4b8be; --peer-line: #b3590c;
  --good: #17703c; --good-paper: #e2f3e8; --bad: #a3261f; --bad-paper: #fbe7e5;
  --wait: #5d6066; --wait-paper: #eeeff1; --warn-paper: #fdf3d8;
  --s0: #2a78d6; --s1: #1baf7a; --s2: #eda100; --s3: #4a3aa7; --s4: #e34948; --s5: #008300;
  --s6: #e87ba4; --s7: #9a9da3; }
@media (prefers-color-scheme: dark) { :root { --paper: #16171a; --card: #1e2023; --ink: #ececee;
  --soft: #a3a7ae; --grid: #35383d; --link: #7db4ff; --ours: #4b94f0; --peer: #646a73;
  --peer-line: #eb9a4c; --good: #7ddba0; --good-paper: #17351f; --bad: #ff9d95;
  --bad-paper: #43201d; --wait: #a3a7ae; --wait-paper: #2b2d31; --warn-paper: #3c3213;
  --s0: #4b94f0; --s1: #2cc48c; --s2: #d89a16; --s3: #9085e9; --s4: #ee6a66; --s5: #35a035;
  --s6: #d55181; --s7: #8b8f96; } }
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 0 0 0.75rem; }
p { max-width: 46rem; margin: 0.6rem 0; } .lead { font-size: 1.1rem; }
.soft { color: var(--soft); } a { color: var(--link); }
code, pre { font: 0.85em/1.5 ui-monospace, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--grid); border-radius: 6px;
  padding: 0.75rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 0.9rem 0.45rem 0;
  border-bottom: 1px solid var(--grid); }
th { font-size: 0.85rem; color: var(--soft); font-weight: 600; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sub { display: block; font-size: 0.85rem; color: var(--soft); }
.tag { display: inline-block; border-radius: 4px; padding: 0.05rem 0.5rem; font-size: 0.85rem;
  font-weight: 600; }
.good { color: var(--good); background: var(--good-paper); }
.bad { color: var(--bad); background: var(--bad-paper); }
.wait { color: var(--wait); background: var(--wait-paper); }
.warn { background: var(--warn-paper); border-radius: 6px; padding: 0.6rem 0.9rem; }
.charts { display: grid; align-items: start; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--grid);
  border-radius: 8px; min-width: 0; }
figcaption { font-size: 0.85rem; color: var(--soft); margin-top: 0.75rem; }
details { margin: 0.75rem 0; } summary { cursor: pointer; color: var(--link); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.2rem 1rem; margin: 0.75rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
@mediath.n { white-space: normal; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.5rem; }
  svg { font-size: 16px; } svg .soft { font-size: 14.5px; } h1 { font-size: 1.5rem; } figure { padding: 0.75rem; }
  .marks thead { display: none; } .marks tr { display: block; padding: 0.75rem 0;
  border-bottom: 1px solid var(--grid); } .marks td { display: block; border: 0; padding: 0.1rem 0;
  text-align: left; } .marks td[data-name]::before { content: attr(data-name) ": ";
  color: var(--soft); } .marks .sub { display: inline; } }
)";

constexpr std::string_view kIntroduction = R"(
<p class="lead">Viaduct is a SIP load balancer for carriers: it takes UDP packets from the network
card past the kernel (by <a href="https://www.dpdk.org/">DPDK</a>), reads just enough of each SIP
message to choose a server, and sends it on. This page measures it beside other programs, on one
machine and in one run, so that anybody can check it.</p>
)";

constexpr std::string_view kRepeat = R"(
<h2 id="repeat">Repeat it</h2>
<p>On Debian 12, as root, with two CPUs and nothing else running; in the source tree that this page
came with. It installs what is missing, builds, measures everything in under 30 minutes, and writes
this page anew:</p>
<pre>scripts/bench              # everything
scripts/bench --micro      # reading and stages only: a few minutes
scripts/bench --rig 2      # one rig and what is measured on it: 1, 2 or 3
scripts/bench --rounds 9   # more rounds: narrower spreads</pre>
)";

constexpr std::string_view kWords = R"(
<h2 id="words">Words</h2>
<dl>
<dt>worker</dt><dd>the thread of Viaduct that forwards packets; one, on one CPU core, in all rigs</dd>
<dt>testpmd</dt><dd>DPDK's own test program. It swaps two MAC addresses and reads nothing of the
packet: about the least a forwarder can do, and so the ceiling for a program that reads SIP</dd>
<dt>Kamailio</dt><dd>a widely used SIP server, here as a stateless dispatcher: what balances SIP
today, on the kernel's own network stack</dd>
<dt>libosip2, sofia-sip, libre</dt><dd>SIP parsers of other projects</dd>
<dt>round</dt><dd>one measurement of each program, one after another. Rounds are repeated; a ratio is
taken within a round, since the machine's noise hits both alike</dd>
<dt>spread</dt><dd>the smallest and the largest of all rounds: whiskers in plots. The value
itself is the median</dd>
<dt>p50, p99, p99.9</dt><dd>the time that 50, 99, 99.9 of 100 packets did not exceed</dd>
<dt>dsr-l2, hash</dt><dd>how the measured pools forward: only MAC addresses change and the server
answers the client itself; the server is chosen by a keyed hash of the Call-ID</dd>
</dl>
)";

std::string tag(const Row& row) {
    const char* style = !row.value ? "wait" : row.reached() ? "good" : "bad";
    return text("<span class=\"tag %s\">%s</span>", style, verdict(row).c_str());
}

/// "0.31 x" with "0.29 to 0.33" below.
std::string value_cell(const Row& row) {
    if (!row.value) return "<span class=\"soft\">-</span>";
    const Spread& value = *row.value;
    std::string made = number(value.median) + " " + std::string(row.spec->unit);
    if (value.low != value.high)
        made +=
            " <span class=\"sub\">" + number(value.low) + " to " + number(value.high) + "</span>";
    return made;
}

std::string marks_table(const Report& report) {
    std::string made = "<h2 id=\"marks\">The marks</h2>\n<p>Each row is a promise with two marks: "
                       "one to reach, and the next one. x is a ratio: so many times as fast, or as "
                       "many packets, as what it is compared with. Below each value stand the "
                       "smallest and the largest of all rounds.</p>\n"
                       "<table class=\"marks\"><thead><tr><th>What</th><th class=\"n\">Measured"
                       "</th><th class=\"n\">Mark</th><th class=\"n\">Next mark</th><th>Verdict"
                       "</th></tr></thead><tbody>\n";
    for (const Row& row : report.rows) {
        const char* than = row.spec->better == Better::Larger ? "&ge; " : "&le; ";
        made += "<tr><td>" + escaped(row.spec->what) + " <span class=\"sub\">against " +
                escaped(row.spec->against) + "</span></td><td class=\"n\" data-name=\"measured\">" +
                value_cell(row) + "</td><td class=\"n\" data-name=\"mark\">" + than +
                number(row.spec->reach) + "</td><td class=\"n\" data-name=\"next mark\">" + than +
                number(row.spec->stretch) + "</td><td>" + tag(row) +
                (row.value ? "" : " <span class=\"sub\">" + escaped(row.why_not_yet) + "</span>") +
                "</td></tr>\n";
    }
    return made + "</tbody></table>\n";
}

std::string machine_list(const Report& report) {
    std::string made = "<h2 id=\"machine\">The machine</h2>\n<dl>\n";
    for (const auto& [name, value] : report.machine)
        made += "<dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd>\n";
    for (const auto& [name, value] : report.versions)
        made += "<dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd>\n";
    return made + "</dl>\n<p>Machines differ, and virtual ones are noisy: compare ratios, not "
                  "absolute figures, between this page and yours.</p>\n";
}

std::string heading(const Report& report) {
    const auto measured =
        std::ranges::count_if(report.rows, [](const Row& row) { return row.value.has_value(); });
    const auto reached =
        std::ranges::count_if(report.rows, [](const Row& row) { return row.reached(); });
    std::string made = "<h1>Viaduct, measured side by side</h1>\n" + std::string(kIntroduction);
    made += text("<p><strong>%td of %zu marks reached</strong>, %td not reached, %td not measured "
                 "yet. <span class=\"soft\">Made %s of commit <code>%s</code>.</span></p>\n",
                 reached,
                 report.rows.size(),
                 measured - reached,
                 static_cast<std::ptrdiff_t>(report.rows.size()) - measured,
                 escaped(readable(report.date)).c_str(),
                 escaped(report.commit).c_str());
    for (const std::string& warning : report.warnings)
        made += "<p class=\"warn\">" + escaped(warning) + "</p>\n";
    return made;
}

} // namespace

std::string index_html(const Report& report) {
    return "<!DOCTYPE html>\n<!-- SPDX-License-Identifier: Apache-2.0; made by bench/report.cpp "
           "-->\n"
           "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<title>Viaduct, measured side by side</title>\n<style>" +
           std::string(kChartStyle) + std::string(kStyle) + "</style>\n</head>\n<body>\n<main>\n" +
           heading(report) + marks_table(report) + sections_html(report) + std::string(kWords) +
           machine_list(report) + std::string(kRepeat) + "</main>\n</body>\n</html>\n";
}

} // namespace viaduct::bench
