// SPDX-License-Identifier: Apache-2.0
#include "shell/eal.hpp"

#include "shell/port_advice.hpp"

#include "viaduct/error.hpp"

#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <sched.h>
#include <string_view>

namespace viaduct {

namespace {

constexpr unsigned kMempoolCache = 256;

/// The size of a packet buffer, with its headers and its place on the stack of free ones. No buffer
/// crosses a page boundary, so one fills an ordinary page.
constexpr std::size_t kHugeBufferBytes = 2560;
constexpr std::size_t kOrdinaryBufferBytes = 4224;

/// The buffers that queues, rings and caches can hold at one time: with fewer, reception would
/// starve.
std::size_t least_buffers(const DataplaneRequest& request) {
    const std::size_t workers = request.cpus.size();
    return request.ports.size() * workers * (kRxDescriptors + kTxDescriptors) + workers * 3 * 1024 +
           (workers + 1) * kMempoolCache * 3 / 2;
}

std::size_t buffers_of(const DataplaneRequest& request) {
    const std::size_t least = least_buffers(request);
    const std::size_t count = request.buffers.value_or(least);
    if (count < least)
        throw Error("dataplane.buffers = " + std::to_string(count) + ", but " +
                    std::to_string(request.ports.size()) + " port(s) and " +
                    std::to_string(request.cpus.size()) + " worker(s) need at least " +
                    std::to_string(least) + "; raise it or remove it");
    return count;
}

/// The huge pages or ordinary memory for EAL: the mempool and the rings, with a reserve.
std::size_t needed_megabytes(const DataplaneRequest& request, std::size_t buffer_bytes) {
    const std::size_t more_buffers = buffers_of(request) - least_buffers(request);
    return 64 + 32 * request.ports.size() * std::max<std::size_t>(1, request.cpus.size()) +
           more_buffers * buffer_bytes / 1'000'000;
}

/// "0@(0,3),1@1,2@2": the main thread on the CPUs without workers, each worker on its own CPU.
std::string lcores_argument(const std::vector<unsigned>& worker_cpus) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    std::string rest;
    std::string all;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        all += (all.empty() ? "" : ",") + std::to_string(cpu);
        if (std::find(worker_cpus.begin(), worker_cpus.end(), cpu) == worker_cpus.end())
            rest += (rest.empty() ? "" : ",") + std::to_string(cpu);
    }
    std::string argument = "0@(" + (rest.empty() ? all : rest) + ")";
    for (std::size_t i = 0; i < worker_cpus.size(); ++i)
        argument += "," + std::to_string(i + 1) + "@" + std::to_string(worker_cpus[i]);
    return argument;
}

/// DPDK's log, in lines. DPDK's threads write it, the control thread reads it. A driver that logs
/// an error in the packet path also takes the lock; without this class it would write to a file
/// there.
class EalLog {
public:
    /// Exists until the process ends: some DPDK threads outlive rte_eal_cleanup().
    static EalLog& get() {
        static EalLog& log = *new EalLog; // never destroyed
        return log;
    }
    [[nodiscard]] std::size_t count() {
        const std::lock_guard lock(mutex_);
        return begin_ + lines_.size();
    }
    /// The lines from number `first` on that are still kept.
    [[nodiscard]] std::vector<std::string> since(std::size_t first) {
        const std::lock_guard lock(mutex_);
        const std::size_t skipped = std::min(lines_.size(), first - std::min(first, begin_));
        return {lines_.begin() + static_cast<std::ptrdiff_t>(skipped), lines_.end()};
    }
    [[nodiscard]] std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> taken;
        taken.swap(lines_);
        begin_ += taken.size();
        if (lost_ > 0) taken.push_back("... and " + std::to_string(lost_) + " more lines");
        lost_ = 0;
        return taken;
    }

private:
    static constexpr std::size_t kMaxLines = 256; ///< until they are read

    EalLog() {
        cookie_io_functions_t io{};
        io.write = [](void* self, const char* text, std::size_t size) -> ssize_t {
            static_cast<EalLog*>(self)->add({text, size});
            return static_cast<ssize_t>(size);
        };
        FILE* stream = fopencookie(this, "w", io);
        if (stream != nullptr) rte_openlog_stream(stream);
    }
    void add(std::string_view text) {
        const std::lock_guard lock(mutex_);
        for (const char c : text) {
            if (c != '\n') {
                part_ += c;
                continue;
            }
            if (lines_.size() < kMaxLines)
                lines_.push_back(part_);
            else
                ++lost_;
            part_.clear();
        }
    }

    std::mutex mutex_;
    std::string part_; // of a line
    std::vector<std::string> lines_;
    std::size_t begin_ = 0; // number of the first line kept
    std::size_t lost_ = 0;
};

/// Why EAL must use physical addresses, with the port that requires it; empty: it need not.
std::string physical_because(const DataplaneRequest& request) {
    std::string because;
    for (const PortRequest& port : request.ports) {
        if (const std::string why = unreachable_memory(kSysfs, port.device); !why.empty())
            throw Error("port " + port.name + ": " + why);
        if (const std::string why = wants_physical_addresses(kSysfs, port.device);
            because.empty() && !why.empty())
            because = "port " + port.name + ": " + why;
    }
    return because;
}

} // namespace

LogCatcher::LogCatcher() : begin_(EalLog::get().count()) {}

std::string LogCatcher::first_line(const std::string& otherwise) const {
    const std::vector<std::string> lines = EalLog::get().since(begin_);
    return lines.empty() || lines.front().empty() ? otherwise : lines.front();
}

std::string LogCatcher::all_lines() const {
    std::string all;
    for (const std::string& line : EalLog::get().since(begin_))
        all += (all.empty() ? "" : "; ") + line;
    return all;
}

std::vector<std::string> take_library_log() {
    return EalLog::get().take();
}

std::string start_eal(const DataplaneRequest& request, std::vector<std::string>& notes) {
    const LogCatcher log;
    std::vector<std::string> arguments{
        "viaductd",
        "--no-telemetry",
        "--log-level=*:error",
        // A placeholder allow-list: EAL touches no device, and explicit probes still reach PCI.
        "-a",
        "0000:00:00.0",
        "--lcores",
        lcores_argument(request.cpus)};
    // EAL sees no device, so it must be told which addresses they need; by default it uses virtual
    // addresses wherever there is an IOMMU, of any device.
    const std::string physical = physical_because(request);
    if (!physical.empty()) arguments.emplace_back("--iova-mode=pa");
    const Memory memory = choose_memory(
        kSysfs, request.memory, needed_megabytes(request, kHugeBufferBytes), physical);
    if (memory.is_huge) {
        arguments.insert(arguments.end(), {"--in-memory", "--single-file-segments"});
    } else {
        if (!memory.lack.empty())
            notes.push_back("ordinary memory, because " + memory.lack + ": expect more TLB misses");
        arguments.insert(arguments.end(),
                         {"--no-huge",
                          "--no-shconf",
                          "-m",
                          std::to_string(needed_megabytes(request, kOrdinaryBufferBytes))});
    }
    std::vector<char*> argv;
    argv.reserve(arguments.size());
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
        throw Error("cannot start DPDK: " + log.first_line(rte_strerror(rte_errno)));
    return memory.lack;
}

rte_mempool* create_mempool(const DataplaneRequest& request) {
    const auto count = static_cast<unsigned>(buffers_of(request));
    // lf_stack: unlike with a ring, a preempted punt or control thread never makes a worker wait.
    rte_mempool* mempool = rte_pktmbuf_pool_create_by_ops(
        "viaduct", count, kMempoolCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, "lf_stack");
    if (mempool == nullptr)
        throw Error("cannot allocate " + std::to_string(count) +
                    " packet buffers: " + rte_strerror(rte_errno));
    return mempool;
}

} // namespace viaduct
