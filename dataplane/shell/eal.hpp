// SPDX-License-Identifier: Apache-2.0
//
// eal: DPDK itself: its start, its memory, and what it logs. Start-up and shutdown only, but for
// the log.
#pragma once

#include "viaduct/dataplane.hpp"

#include <rte_mempool.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

/// Of each queue, as far as the driver goes along: what the memory is reckoned with.
inline constexpr std::uint16_t kRxDescriptors = 1024;
inline constexpr std::uint16_t kTxDescriptors = 1024;

/// Where the kernel says what devices there are.
inline constexpr const char* kSysfs = "/sys";

/// Starts EAL with one lcore per CPU of `request.cpus` (lcore ids 1, 2, ...) and the calling thread
/// as main lcore on the remaining CPUs. Touches no device, but asks the kernel which addresses
/// those of the ports will want. Returns why the memory is ordinary; empty: it is huge pages, or
/// what was asked for. Throws Error.
[[nodiscard]] std::string start_eal(const DataplaneRequest& request,
                                    std::vector<std::string>& notes);

/// The one mempool of RX, punt and inject: packets may leave by any port and still be freed fast.
[[nodiscard]] rte_mempool* create_mempool(const DataplaneRequest& request);

/// Reads along in what DPDK logs while it lives, so that a failure can say why in its own one line.
class LogCatcher {
public:
    LogCatcher();

    /// The first line logged, which is nearest to the cause, or `otherwise`.
    [[nodiscard]] std::string first_line(const std::string& otherwise) const;
    /// Every line logged, one after the other.
    [[nodiscard]] std::string all_lines() const;

private:
    std::size_t begin_;
};

} // namespace viaduct
