// SPDX-License-Identifier: Apache-2.0
//
// The data plane of a build without DPDK: replay, --check and --reference work, running does not.
#include "viaduct/dataplane.hpp"
#include "viaduct/error.hpp"

namespace viaduct {

std::string_view dataplane_version() noexcept {
    return "none";
}

std::vector<std::string> start_dataplane(const DataplaneRequest&) {
    throw Error("this viaductd was built without DPDK (-Ddpdk=disabled): it supports replay, "
                "--check and --reference, but cannot run; build it with libdpdk-dev installed");
}

std::vector<std::string> take_library_log() {
    return {};
}

void stop_dataplane() noexcept {}
std::size_t worker_count() noexcept {
    return 0;
}
unsigned worker_cpu(WorkerId) noexcept {
    return 0;
}
const WorkerCounters& read_counters(WorkerId) noexcept {
    static const WorkerCounters none;
    return none;
}
std::vector<PortState> port_states() {
    return {};
}
std::vector<std::string> follow_links() {
    return {};
}
std::uint64_t tsc_hz() noexcept {
    return 1;
}
std::uint64_t tsc_now() noexcept {
    return 0;
}
void publish(std::unique_ptr<const Snapshot>) {}
void publish(std::unique_ptr<const NextHops>) {}
void settle() {}
void reclaim() {}
void set_call_time(CallTime) noexcept {}
std::uint64_t begin_grace() noexcept {
    return 0;
}
bool grace_over(std::uint64_t) noexcept {
    return true;
}
bool inject(PortId, std::span<const std::byte>) noexcept {
    return false;
}
std::optional<Event> next_event() noexcept {
    return std::nullopt;
}

} // namespace viaduct
