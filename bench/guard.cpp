// SPDX-License-Identifier: Apache-2.0
#include "guard.hpp"

#include "machine.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace viaduct::bench {

namespace {

using Json = nlohmann::ordered_json;

struct RatioSpec {
    const char* name;
    const char* file;
    const char* metric;
    const char* peer; ///< takes longer
    const char* peer_load;
    const char* ours;
    const char* load;
};

constexpr RatioSpec kRatios[]{
    {"digest_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_best",
     "mix of 1000"},
    {"digest_vs_sofia",
     "message",
     "ns_per_message",
     "sofia",
     "mix of 1000",
     "viaduct_best",
     "mix of 1000"},
    {"full_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_full",
     "mix of 1000"},
    {"scalar_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_scalar",
     "mix of 1000"},
    {"sse4.2_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_sse4.2",
     "mix of 1000"},
    {"avx2_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_avx2",
     "mix of 1000"},
    {"avx512_vs_libosip2",
     "message",
     "ns_per_message",
     "libosip2",
     "mix of 1000",
     "viaduct_avx512",
     "mix of 1000"},
    {"stages_vs_libosip2",
     "pipeline",
     "ns_per_packet",
     "libosip2",
     "1000 messages",
     "stages",
     "1000 messages"},
    {"pools100_vs_libosip2",
     "pipeline",
     "ns_per_packet",
     "libosip2",
     "1000 messages",
     "stages",
     "pools=100"},
    {"backends300_vs_libosip2",
     "pipeline",
     "ns_per_packet",
     "libosip2",
     "1000 messages",
     "stages",
     "backends=300"},
};

std::optional<double> best_of(const std::vector<Baseline>& runs, const std::string& name) {
    std::optional<double> best;
    for (const Baseline& run : runs)
        if (const auto ratio = run.find(name)) best = std::max(best.value_or(0), *ratio);
    return best;
}

} // namespace

std::optional<double> Baseline::find(std::string_view name) const {
    for (const auto& [known, ratio] : ratios)
        if (known == name) return ratio;
    return std::nullopt;
}

Baseline measured_baseline(const Measurements& from) {
    Baseline made;
    made.cpu = cpu_model();
    for (const RatioSpec& spec : kRatios) {
        const auto file = from.find(spec.file);
        if (file == from.end())
            throw std::runtime_error("there is no " + std::string(spec.file) + ".json to judge");
        const Sample* peer = file->second.find(spec.peer, spec.peer_load, spec.metric);
        const Sample* ours = file->second.find(spec.ours, spec.load, spec.metric);
        if (peer == nullptr || ours == nullptr) continue;
        const std::vector<double> all = ratios(*peer, *ours);
        if (!all.empty()) made.ratios.emplace_back(spec.name, spread_of(all).median);
        if (ours->remarks.contains("level")) made.level = ours->remarks.at("level");
    }
    return made;
}

Baseline read_baseline(const std::string& path) {
    Baseline made;
    try {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw std::runtime_error("it cannot be read");
        const Json json = Json::parse(file);
        made.cpu = json.at("cpu").get<std::string>();
        made.level = json.at("level").get<std::string>();
        for (const auto& [name, ratio] : json.at("ratios").items())
            made.ratios.emplace_back(name, ratio.get<double>());
    } catch (const std::exception& error) {
        throw std::runtime_error(path + ": " + error.what());
    }
    return made;
}

void write_baseline(const std::string& path, const Baseline& baseline) {
    Json ratios = Json::object();
    for (const auto& [name, ratio] : baseline.ratios)
        ratios[name] = std::round(ratio * 100) / 100;
    const Json json{{"cpu", baseline.cpu}, {"level", baseline.level}, {"ratios", ratios}};
    write_files({{path, json.dump(1) + "\n"}});
}

Verdict judge(const Baseline& baseline, const std::vector<Baseline>& runs) {
    for (const Baseline& run : runs)
        if (run.cpu != baseline.cpu || run.level != baseline.level)
            return {Judgement::OtherCpu,
                    "skipped: the baseline is of another CPU (" + baseline.cpu + ", " +
                        baseline.level + "; this is " + run.cpu + ", " + run.level +
                        "); renew it by scripts/bench --baseline\n"};
    Verdict made;
    for (const auto& [name, was] : baseline.ratios) {
        const auto is = best_of(runs, name);
        const bool worse = !is || *is < was * (1 - kTolerance);
        if (worse) made.judgement = Judgement::Worse;
        made.lines += text("%-5s %-24s %7s, baseline %7s",
                           worse ? "FAIL" : "ok",
                           name.c_str(),
                           is ? number(*is).c_str() : "-",
                           number(was).c_str());
        made.lines += is ? text("  %+.1f %%\n", 100 * (*is / was - 1))
                         : "  not measured: is the library installed?\n";
    }
    return made;
}

} // namespace viaduct::bench
