// SPDX-License-Identifier: Apache-2.0
//
// dataplane: starts and stops the ports and workers, publishes to them, injects frames, receives
// events.
//
// Call all functions from the control thread only. Workers run until stop_dataplane().
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/event.hpp"
#include "viaduct/next_hops.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

enum class MemoryKind : std::uint8_t { Auto, HugePages, Ordinary };

/// The largest MTU whose frames fit into one buffer of every driver; net_af_packet's frames of
/// 2,048 bytes are the smallest.
inline constexpr std::uint16_t kMaxMtu = 1968;

struct PortRequest {
    std::string name;                 ///< as in the configuration
    std::string device;               ///< PCI address or virtual device string
    std::optional<std::uint16_t> mtu; ///< empty: the MTU of the device
    std::string twin;                 ///< name of the TAP interface to create
};

struct DataplaneRequest {
    std::vector<PortRequest> ports; ///< 1..kMaxPorts
    std::vector<unsigned> cpus;     ///< one worker on each; not empty
    MemoryKind memory = MemoryKind::Auto;
    CallTable calls;                 ///< must exist until stop_dataplane() has returned
    std::optional<unsigned> buffers; ///< packet buffers; empty: what queues and rings can hold
};

struct PortState {
    std::string name;
    std::string driver;
    std::string interface; ///< the kernel interface that net_af_packet or net_af_xdp uses
    MacAddr mac;
    std::uint16_t mtu = 0;
    std::string no_link;        ///< why there is no link now; empty: the link is up
    std::uint64_t received = 0; ///< frames the driver delivered
    std::uint64_t sent = 0;     ///< frames the device sent, as its driver counts them
    bool counts_sent = false;   ///< whether it counts them, for all queues
    std::uint64_t given = 0;    ///< frames that its queues accepted from the workers, counted by us
    std::uint64_t missed = 0;   ///< lost before we received them, as far as the driver reports
    std::uint64_t rx_errors = 0;
    std::uint64_t tx_errors = 0;
    std::uint64_t no_buffers = 0; ///< RX failed for lack of mbufs
};

/// The version of the data plane's library, e.g. "DPDK 22.11.11"; callable at any time.
[[nodiscard]] std::string_view dataplane_version() noexcept;

/// Lines that the data plane's library has logged since the last call; callable at any time.
[[nodiscard]] std::vector<std::string> take_library_log();

/// Starts EAL, creates the ports and their TAP twins (down, without addresses), starts the workers;
/// they punt everything until both a Snapshot and NextHops are published. Returns notes for the log
/// (chosen memory, features a port lacks and what that costs). Once per process. Throws Error
/// naming the setting, and then leaves nothing running.
[[nodiscard]] std::vector<std::string> start_dataplane(const DataplaneRequest& request);

/// Stops workers and ports, removes the twins, frees everything. Safe when not started.
void stop_dataplane() noexcept;

[[nodiscard]] std::size_t worker_count() noexcept;
/// The CPU a worker runs on.
[[nodiscard]] unsigned worker_cpu(WorkerId worker) noexcept;
[[nodiscard]] const WorkerCounters& read_counters(WorkerId worker) noexcept;
[[nodiscard]] std::vector<PortState> port_states();
/// Reads the link state of every port and sets the twins' carrier. Returns PortState::no_link, by
/// PortId.
[[nodiscard]] std::vector<std::string> follow_links();
/// TSC ticks a second, and the current count: the clock of Event::rx_tsc and
/// WorkerCounter::BusyTsc.
[[nodiscard]] std::uint64_t tsc_hz() noexcept;
[[nodiscard]] std::uint64_t tsc_now() noexcept;

/// Publishes this to all workers, from their next burst on. A later call to reclaim() frees the
/// previous one when no worker uses it any more.
void publish(std::unique_ptr<const Snapshot> snapshot);
void publish(std::unique_ptr<const NextHops> next_hops);
/// Waits until every worker uses what was published last, and the kernel has all frames that they
/// punted before; some milliseconds, 200 at most.
void settle();
/// Frees what no worker can still use. Never waits; call it regularly.
void reclaim();

/// Sets the time that workers use for deadlines of remembered calls. Call it regularly.
void set_call_time(CallTime now) noexcept;

/// begin_grace() starts a grace period; grace_over() returns true once every worker has passed its
/// start, so that the effects of what they did before are visible.
[[nodiscard]] std::uint64_t begin_grace() noexcept;
[[nodiscard]] bool grace_over(std::uint64_t token) noexcept;

/// Sends one complete frame through `port`, using the worker's inject ring. False: ring or memory
/// full, or the frame is larger than the port's MTU; nothing was sent.
[[nodiscard]] bool inject(PortId port, std::span<const std::byte> frame) noexcept;

/// The next event of any worker; empty when there is none now.
[[nodiscard]] std::optional<Event> next_event() noexcept;

} // namespace viaduct
