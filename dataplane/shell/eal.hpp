// SPDX-License-Identifier: Apache-2.0
//
// eal: DPDK itself: start, memory and log. For start-up and shutdown only, except the log.
#pragma once

#include "viaduct/dataplane.hpp"

#include <rte_mempool.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

/// The descriptors of each queue, as far as the driver accepts them; the needed memory is computed
/// from these.
inline constexpr std::uint16_t kRxDescriptors = 1024;
inline constexpr std::uint16_t kTxDescriptors = 1024;

/// Where the kernel lists devices.
inline constexpr const char* kSysfs = "/sys";

/// Starts EAL with one lcore per CPU of `request.cpus` (lcore ids 1, 2, ...) and the calling thread
/// as main lcore on the remaining CPUs. Touches no device, but reads from the kernel which
/// addresses the ports' devices will need. Returns why the memory is ordinary; empty: it is huge
/// pages, or as requested. Throws Error.
[[nodiscard]] std::string start_eal(const DataplaneRequest& request,
                                    std::vector<std::string>& notes);

/// The only mempool, for RX, punt and inject: a packet can leave through any port and still be
/// freed fast.
[[nodiscard]] rte_mempool* create_mempool(const DataplaneRequest& request);

/// Collects what DPDK logs during its lifetime, so that an error can include the reason in its one
/// line.
class LogCatcher {
public:
    LogCatcher();

    /// The first line logged, which is nearest to the cause; `otherwise` if there is none.
    [[nodiscard]] std::string first_line(const std::string& otherwise) const;
    /// All lines logged, joined.
    [[nodiscard]] std::string all_lines() const;

private:
    std::size_t begin_;
};

} // namespace viaduct
