// SPDX-License-Identifier: Apache-2.0
#include "start.hpp"

#include "cli/cli.hpp"
#include "log.hpp"

#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace viaduct {

namespace {

/// Returns the CPUs for the workers: the configured ones, or the last ones that the process may
/// use.
std::vector<unsigned> choose_cpus(const Config& config) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    std::vector<unsigned> cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
    for (const unsigned cpu : config.cpus)
        if (std::find(cpus.begin(), cpus.end(), cpu) == cpus.end())
            throw Error("dataplane.cpus lists CPU " + std::to_string(cpu) +
                        ", which this process may not use; it may use " +
                        std::to_string(cpus.size()) + " CPU(s)");
    if (!config.cpus.empty()) return config.cpus;
    const std::size_t count = config.workers.value_or(
        static_cast<unsigned>(std::min(kMaxWorkers, std::max<std::size_t>(1, cpus.size() - 1))));
    if (count > cpus.size())
        throw Error("dataplane.workers = " + std::to_string(count) +
                    ", but this process may use only " + std::to_string(cpus.size()) +
                    " CPUs; lower it");
    return {cpus.end() - static_cast<std::ptrdiff_t>(count), cpus.end()};
}

const Config& with_socket_folder(const Config& config) {
    make_socket_folder(config.socket);
    return config;
}

} // namespace

OnlyInstance::OnlyInstance(const Config& config) : locks_(with_socket_folder(config)) {
    if (!locks_.unlocked_state().empty())
        spdlog::warn("the state folder is not locked: {}; do not use it for another viaductd",
                     locks_.unlocked_state());
    refuse_second_instance();
}

ProbePort::ProbePort() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (fd_ < 0 || bind(fd_, generic, length) != 0 || getsockname(fd_, generic, &length) != 0)
        throw Error(std::string("cannot reserve a UDP port for probes: ") + std::strerror(errno));
    number_ = ntohs(address.sin_port);
}

ProbePort::~ProbePort() {
    close(fd_);
}

RememberedCalls::RememberedCalls(const Config& config,
                                 const SteeringSecret& secret,
                                 std::chrono::seconds unit,
                                 std::uint64_t lineage)
    : file(calls_path(config),
           {CallTableFile::words_for(config.calls),
            unit,
            hash_bytes(secret, "table of calls"),
            lineage}),
      backup(config.state, secret, lineage, file) {
    if (!file.refusal().empty())
        spdlog::warn("the call table {} is not used: {}", calls_path(config), file.refusal());
    if (file.was_kept()) return;
    if (const std::string refusal = backup.load(); !refusal.empty())
        spdlog::warn("the call-table copy {} is not used: {}; {}",
                     backup.path(),
                     refusal,
                     set_aside(backup.path()));
}

DataplaneRequest request_of(const Config& config) {
    DataplaneRequest request;
    for (const PortConfig& port : config.ports)
        request.ports.push_back({port.name, port.device, port.mtu, twin_name(port)});
    request.cpus = choose_cpus(config);
    request.memory = config.memory;
    request.buffers = config.buffers;
    return request;
}

void log_library() {
    for (const std::string& line : take_library_log())
        spdlog::warn("DPDK: {}", line);
}

RunningDataplane::RunningDataplane(const DataplaneRequest& request, CallTableBackup& backup)
    : backup_(backup) {
    for (const std::string& note : start_dataplane(request))
        spdlog::info("{}", note);
    log_library();
}

RunningDataplane::~RunningDataplane() {
    stop_dataplane();
    log_library();
    backup_.end();
}

std::vector<TwinPort> twin_ports(const Config& config) {
    std::vector<TwinPort> ports;
    const std::vector<PortState> states = port_states();
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        const PortConfig& port = config.ports[i];
        ports.push_back({twin_name(port),
                         states[i].interface,
                         states[i].mac,
                         states[i].mtu,
                         states[i].driver == "net_af_packet"});
        spdlog::info("port {}: {} at {}, MTU {}, twin {}",
                     port.name,
                     states[i].driver,
                     to_string(states[i].mac),
                     states[i].mtu,
                     twin_name(port));
    }
    return ports;
}

} // namespace viaduct
