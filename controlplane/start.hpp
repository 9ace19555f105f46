// SPDX-License-Identifier: Apache-2.0
//
// start: everything the daemon needs from the machine before it can serve: CPUs, a UDP port for
// probes, locks, the data plane.
#pragma once

#include "calls/call_table_backup.hpp"
#include "calls/call_table_file.hpp"
#include "config/config.hpp"
#include "host/host_network.hpp"
#include "host/instance_lock.hpp"
#include "state/state_writer.hpp"

#include "viaduct/dataplane.hpp"

#include <cstdint>
#include <vector>

namespace viaduct {

/// Makes the folder of the control socket and takes all locks, before anything else is changed.
/// Throws Error when another viaductd holds one.
class OnlyInstance {
public:
    explicit OnlyInstance(const Config& config);

private:
    InstanceLocks locks_;
};

/// A UDP port reserved in the kernel while we run. Answers to probes arrive on it, at the workers.
/// Packets punted to it by mistake find a socket, so that the kernel sends no ICMP error.
class ProbePort {
public:
    ProbePort(); ///< throws Error when the kernel has none
    ~ProbePort();
    ProbePort(const ProbePort&) = delete;
    ProbePort& operator=(const ProbePort&) = delete;
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
    int fd_;
    std::uint16_t number_ = 0;
};

/// The table of calls, as left by an earlier process or before a reboot.
struct RememberedCalls {
    RememberedCalls(const Config& config,
                    const SteeringSecret& secret,
                    std::chrono::seconds unit,
                    std::uint64_t lineage);

    CallTableFile file;
    CallTableBackup backup;
};

/// Returns the request for the data plane. Throws Error when this process may not use these CPUs.
[[nodiscard]] DataplaneRequest request_of(const Config& config);

/// Copies the lines that DPDK wrote since the last call to our log. (When a start fails, the error
/// contains the first one.)
void log_library();

/// The running data plane. The destructor stops the workers and then writes the backup of the
/// calls.
class RunningDataplane {
public:
    RunningDataplane(const DataplaneRequest& request, CallTableBackup& backup);
    ~RunningDataplane();
    RunningDataplane(const RunningDataplane&) = delete;
    RunningDataplane& operator=(const RunningDataplane&) = delete;

private:
    CallTableBackup& backup_;
};

/// Returns the ports of the running data plane, for their twins, and logs them.
[[nodiscard]] std::vector<TwinPort> twin_ports(const Config& config);

} // namespace viaduct
