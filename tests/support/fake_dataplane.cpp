// SPDX-License-Identifier: Apache-2.0

#include "fake_dataplane.hpp"

#include <utility>

namespace viaduct::test {

void FakeDataplane::reset(std::size_t worker_total) {
    *this = FakeDataplane{};
    for (std::size_t i = 0; i < worker_total; ++i) {
        workers.push_back(std::make_unique<WorkerCounters>());
        cpus.push_back(static_cast<unsigned>(i) + 1);
    }
}

FakeDataplane& fake_dataplane() {
    static FakeDataplane the_one = [] {
        FakeDataplane fresh;
        fresh.reset();
        return fresh;
    }();
    return the_one;
}

} // namespace viaduct::test

namespace viaduct {

using test::fake_dataplane;
using test::FakeDataplane;

std::string_view dataplane_version() noexcept {
    return "fake 1.0";
}

std::vector<std::string> start_dataplane(const DataplaneRequest& request) {
    fake_dataplane().reset(request.cpus.size());
    fake_dataplane().cpus = request.cpus;
    for (const PortRequest& port : request.ports) {
        PortState state;
        state.name = port.name;
        state.driver = "fake";
        state.mtu = port.mtu.value_or(1500);
        fake_dataplane().ports.push_back(std::move(state));
    }
    fake_dataplane().running = true;
    return {};
}

std::vector<std::string> take_library_log() {
    return {};
}

void stop_dataplane() noexcept {
    fake_dataplane().running = false;
}

std::size_t worker_count() noexcept {
    return fake_dataplane().workers.size();
}
unsigned worker_cpu(WorkerId worker) noexcept {
    return fake_dataplane().cpus[index(worker)];
}
const WorkerCounters& read_counters(WorkerId worker) noexcept {
    return *fake_dataplane().workers[index(worker)];
}
std::vector<PortState> port_states() {
    return fake_dataplane().ports;
}
std::vector<std::string> follow_links() {
    std::vector<std::string> lacks;
    for (const PortState& port : fake_dataplane().ports)
        lacks.push_back(port.no_link);
    return lacks;
}
std::uint64_t tsc_hz() noexcept {
    return fake_dataplane().tsc_hz;
}
std::uint64_t tsc_now() noexcept {
    return fake_dataplane().tsc_now;
}

void publish(std::unique_ptr<const Snapshot> snapshot) {
    fake_dataplane().snapshot = std::move(snapshot);
    ++fake_dataplane().snapshots_published;
}
void publish(std::unique_ptr<const NextHops> next_hops) {
    fake_dataplane().next_hops = std::move(next_hops);
    ++fake_dataplane().next_hops_published;
}
void settle() {}
void reclaim() {
    ++fake_dataplane().reclaims;
}

void set_call_time(CallTime) noexcept {}
std::uint64_t begin_grace() noexcept {
    return 0;
}
bool grace_over(std::uint64_t) noexcept {
    return true;
}
bool inject(PortId port, std::span<const std::byte> frame) noexcept {
    FakeDataplane& fake = fake_dataplane();
    if (fake.inject_fails) return false;
    fake.injected.push_back({port, {frame.begin(), frame.end()}});
    return true;
}

std::optional<Event> next_event() noexcept {
    FakeDataplane& fake = fake_dataplane();
    if (fake.events.empty()) return std::nullopt;
    const Event event = fake.events.front();
    fake.events.pop_front();
    return event;
}

} // namespace viaduct
