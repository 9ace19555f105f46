// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include "machine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unistd.h>

namespace viaduct::bench {

namespace {

using Json = nlohmann::ordered_json;

Sample sample_of(const Json& json) {
    Sample sample;
    for (const auto& [key, value] : json.items()) {
        if (key == "who")
            sample.who = value.get<std::string>();
        else if (key == "load")
            sample.load = value.get<std::string>();
        else if (key == "metric")
            sample.metric = value.get<std::string>();
        else if (key == "unit")
            sample.unit = value.get<std::string>();
        else if (key == "values")
            sample.values = value.get<std::vector<double>>();
        else if (value.is_string())
            sample.remarks[key] = value.get<std::string>();
    }
    const std::string name = sample.who + ", " + sample.load + ", " + sample.metric;
    if (sample.who.empty() || sample.load.empty() || sample.metric.empty())
        throw std::runtime_error("a sample lacks who, load or metric (it says: " + name + ")");
    if (sample.values.empty()) throw std::runtime_error("the sample " + name + " has no values");
    return sample;
}

Measurement measurement_of(const Json& json) {
    Measurement made;
    made.name = json.at("name").get<std::string>();
    made.title = json.value("title", made.name);
    made.commands = json.value("commands", std::vector<std::string>{});
    made.versions = json.value("versions", std::map<std::string, std::string>{});
    made.notes = json.value("notes", std::vector<std::string>{});
    made.commit = json.value("commit", "");
    made.date = json.value("date", "");
    for (const Json& sample : json.at("samples")) {
        made.samples.push_back(sample_of(sample));
        const Sample& last = made.samples.back();
        if (made.find(last.who, last.load, last.metric) != &last)
            throw std::runtime_error("it has two samples " + last.who + ", " + last.load + ", " +
                                     last.metric);
    }
    return made;
}

} // namespace

const Sample*
Measurement::find(std::string_view who, std::string_view load, std::string_view metric) const {
    const auto found = std::ranges::find_if(samples, [&](const Sample& sample) {
        return sample.who == who && sample.load == load && sample.metric == metric;
    });
    return found == samples.end() ? nullptr : &*found;
}

std::optional<Measurement> read_measurement(const std::string& path) {
    if (::access(path.c_str(), F_OK) != 0) return std::nullopt;
    try {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw std::runtime_error("it cannot be read");
        return measurement_of(Json::parse(file));
    } catch (const std::exception& error) {
        throw std::runtime_error(path + " is broken: " + error.what() +
                                 "; measure again, or remove it");
    }
}

void write_measurement(const std::string& path, const Measurement& measurement) {
    Json samples = Json::array();
    for (const Sample& sample : measurement.samples) {
        Json json{{"who", sample.who},
                  {"load", sample.load},
                  {"metric", sample.metric},
                  {"unit", sample.unit},
                  {"values", sample.values}};
        for (const auto& [key, value] : sample.remarks)
            json[key] = value;
        samples.push_back(std::move(json));
    }
    const Json json{{"name", measurement.name},
                    {"title", measurement.title},
                    {"commit", commit_of_tree()},
                    {"date", now_utc()},
                    {"commands", measurement.commands},
                    {"versions", measurement.versions},
                    {"notes", measurement.notes},
                    {"samples", std::move(samples)}};
    write_files({{path, json.dump(1) + "\n"}});
}

void write_files(const Files& files) {
    const auto refuse = [](const std::string& path) {
        throw std::runtime_error("cannot write " + path + " (is its folder there, and yours?)");
    };
    for (const auto& [path, text] : files) {
        std::ofstream part(path + ".part", std::ios::binary);
        part << text;
        part.close();
        if (!part) refuse(path);
    }
    for (const auto& [path, text] : files)
        if (std::rename((path + ".part").c_str(), path.c_str()) != 0) refuse(path);
}

Spread spread_of(std::span<const double> values) {
    std::vector<double> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    const std::size_t count = sorted.size();
    return {(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted.front(), sorted.back()};
}

std::string text(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, arguments);
    va_end(arguments);
    std::string made(static_cast<std::size_t>(std::max(length, 0)), '\0');
    std::vsnprintf(made.data(), made.size() + 1, format, again);
    va_end(again);
    return made;
}

std::string number(double value) {
    const double size = std::fabs(value);
    if (size < 1'000) {
        const int decimals = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
        std::string made = text("%.*f", decimals, value);
        if (made.find('.') != std::string::npos) {
            made.erase(made.find_last_not_of('0') + 1);
            if (made.back() == '.') made.pop_back();
        }
        return made;
    }
    const double unit = std::pow(10, std::floor(std::log10(size)) - 2);
    std::string made = text("%.0f", std::round(value / unit) * unit);
    for (std::size_t at = made.size(); at > 3 + (value < 0 ? 1U : 0U); at -= 3)
        if (at - 3 > (value < 0 ? 1U : 0U)) made.insert(at - 3, ",");
    return made;
}

} // namespace viaduct::bench
