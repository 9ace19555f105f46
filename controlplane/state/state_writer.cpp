// SPDX-License-Identifier: Apache-2.0
#include "state/state_writer.hpp"

#include "log.hpp"

#include "viaduct/error.hpp"

#include <random>
#include <utility>

namespace viaduct {

namespace {

constexpr std::size_t kMaxBytes = 64U << 20;

std::uint64_t draw_lineage() {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
}

std::string path_in(const std::string& folder) {
    return folder + "/state.json";
}

void write_file(const std::string& path, const std::string& text) {
    NewFile file(path);
    file.write(text);
    file.commit();
}

} // namespace

StateAtStart
read_state(const std::string& folder, const Config& config, const SteeringSecret& secret) {
    const std::string path = path_in(folder);
    StateAtStart state;
    try {
        const std::string text = read_file(path, kMaxBytes);
        if (!text.empty()) {
            KeptState kept = parse_state(text, secret);
            static_cast<void>(model_of(config, kept)); // throws when it does not fit
            state.kept = std::move(kept);
            state.is_new = false;
        }
    } catch (const Error& error) {
        state.refusal = error.what();
    }
    if (!state.refusal.empty())
        spdlog::warn("the state file {} is not used: {}; no calls are remembered; {}",
                     path,
                     state.refusal,
                     set_aside(path));
    if (state.is_new) state.kept.lineage = draw_lineage();
    return state;
}

StateWriter::StateWriter(const std::string& folder,
                         const SteeringSecret& secret,
                         std::uint64_t lineage,
                         const PoolModel& model,
                         const Publisher& publisher)
    : path_(path_in(folder)), secret_(secret), lineage_(lineage), model_(model),
      publisher_(publisher) {
    static_cast<void>(write_now());
}

StateWriter::~StateWriter() {
    static_cast<void>(write_now());
}

std::string StateWriter::text() const {
    return print_state(state_of(model_, publisher_, lineage_), secret_);
}

/// Logs the same complaint only once in a row.
void StateWriter::complain(const std::string& complaint) {
    if (std::exchange(complaint_, complaint) == complaint || complaint.empty()) return;
    spdlog::warn("{}; calls in progress will not survive a restart", complaint);
}

std::string StateWriter::write_now() {
    errand_.finish();
    std::string complaint;
    try {
        write_file(path_, text());
    } catch (const std::exception& error) {
        complaint = error.what();
    }
    complain(complaint);
    return complaint;
}

void StateWriter::tick(TimePoint now) {
    if (now < written_ + kBetween || errand_.is_busy()) return;
    const Snapshot* const snapshot = publisher_.current();
    const std::uint64_t number = snapshot == nullptr ? 0 : snapshot->number;
    if (model_written_ == model_.version() && snapshot_written_ == number &&
        now < written_ + kFreshness)
        return;
    complain(errand_.complaint());
    model_written_ = model_.version();
    snapshot_written_ = number;
    written_ = now;
    errand_.give([path = path_, text = text()] { write_file(path, text); });
}

} // namespace viaduct
