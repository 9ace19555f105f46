// SPDX-License-Identifier: Apache-2.0
#include "viaduct/dataplane.hpp"

#include "shell/eal.hpp"
#include "shell/ports.hpp"
#include "shell/punt.hpp"
#include "shell/worker.hpp"

#include "viaduct/error.hpp"
#include "viaduct/pci_address.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>
#include <rte_version.h>

#include <bit>
#include <chrono>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

namespace viaduct {

namespace {

constexpr unsigned kEventRingEntries = 4096;
constexpr unsigned kInjectRingEntries = 1024;
constexpr std::uint64_t kPuntFramesPerSecond = 20'000; ///< per worker
constexpr std::chrono::milliseconds kSettleLimit{200};
constexpr std::chrono::microseconds kSettlePause{100};
constexpr std::uint64_t kMissesPerSecond = 20'000; ///< NextHopMiss events, per worker

struct Retired {
    std::uint64_t token = 0;
    std::unique_ptr<const Snapshot> snapshot;
    std::unique_ptr<const NextHops> next_hops;
};

/// All that start_dataplane() created. Control thread only, except as WorkerShared says.
struct Engine {
    bool eal_started = false;
    rte_mempool* mempool = nullptr;
    std::vector<Port> ports;
    std::unique_ptr<PuntThread> punt;
    WorkerShared shared;
    std::vector<std::unique_ptr<Worker>> workers;
    bool workers_launched = false;
    std::unique_ptr<const Snapshot> snapshot; // what shared.snapshot points to
    std::unique_ptr<const NextHops> next_hops;
    std::deque<Retired> retired;
    std::size_t next_event_worker = 0;
    std::size_t next_inject_worker = 0;
};

Engine& engine() noexcept {
    static Engine instance;
    return instance;
}

rte_ring* create_ring(const std::string& name, unsigned entries, unsigned element_bytes) {
    rte_ring* ring = rte_ring_create_elem(
        name.c_str(), element_bytes, entries, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) throw Error("cannot create ring " + name + ": " + rte_strerror(rte_errno));
    return ring;
}

void create_workers(Engine& self, const std::vector<unsigned>& cpus) {
    const std::size_t qsbr_bytes =
        rte_rcu_qsbr_get_memsize(static_cast<std::uint32_t>(cpus.size()));
    self.shared.qsbr =
        static_cast<rte_rcu_qsbr*>(rte_zmalloc("qsbr", qsbr_bytes, RTE_CACHE_LINE_SIZE));
    if (self.shared.qsbr == nullptr) throw Error("not enough memory for the state of the workers");
    rte_rcu_qsbr_init(self.shared.qsbr, static_cast<std::uint32_t>(cpus.size()));
    for (std::size_t i = 0; i < cpus.size(); ++i) {
        auto worker = std::make_unique<Worker>();
        worker->id = WorkerId{static_cast<std::uint8_t>(i)};
        worker->cpu = cpus[i];
        worker->shared = &self.shared;
        worker->to_kernel = self.punt->to_kernel(i);
        worker->tsc_per_punt = rte_get_tsc_hz() / kPuntFramesPerSecond;
        worker->tsc_per_second = rte_get_tsc_hz();
        worker->tsc_per_miss = rte_get_tsc_hz() / kMissesPerSecond;
        worker->client_clock_shift = static_cast<unsigned>(std::bit_width(rte_get_tsc_hz())) - 1;
        worker->inject =
            create_ring("inject" + std::to_string(i), kInjectRingEntries, sizeof(void*));
        worker->events =
            create_ring("events" + std::to_string(i), kEventRingEntries, sizeof(Event));
        for (std::size_t port = 0; port < self.ports.size(); ++port) {
            const PortId id{static_cast<std::uint8_t>(port)};
            if (i < self.ports[port].rx_queues)
                worker->rx_queues.push_back(
                    {id, self.ports[port].ethdev, static_cast<std::uint16_t>(i)});
            if (port % cpus.size() == i)
                worker->from_kernel.push_back({id, self.punt->from_kernel(port)});
        }
        self.workers.push_back(std::move(worker));
    }
}

/// Adds to an error of `open` that the memory is ordinary, and why: notes are not shown in that
/// case.
template <typename Open> auto naming_memory(const std::string& lack, Open open) {
    try {
        return open();
    } catch (const Error& error) {
        if (lack.empty()) throw;
        throw Error(std::string(error.what()) + " (ordinary memory is used: " + lack + ")");
    }
}

void start_all(Engine& self, const DataplaneRequest& request, std::vector<std::string>& notes) {
    const std::string lack = start_eal(request, notes);
    self.eal_started = true;
    self.mempool = naming_memory(lack, [&] { return create_mempool(request); });
    self.shared.calls = request.calls;
    for (const PortRequest& port : request.ports) {
        self.ports.push_back(
            naming_memory(pci_addresses(port.device).empty() ? std::string() : lack, [&] {
                return open_port(port, request.cpus.size(), self.mempool, notes);
            }));
        const Port& opened = self.ports.back();
        self.shared.ethdevs.push_back(opened.ethdev);
        self.shared.links.push_back({opened.mac,
                                     opened.mtu + static_cast<std::uint32_t>(sizeof(EtherHeader)),
                                     false,
                                     PortId{static_cast<std::uint8_t>(self.ports.size() - 1)}});
    }
    self.punt = std::make_unique<PuntThread>(request.ports, request.cpus.size(), self.mempool);
    create_workers(self, request.cpus);
    self.punt->start();
    for (std::size_t i = 0; i < self.workers.size(); ++i)
        rte_eal_remote_launch(
            [](void* worker) {
                static_cast<Worker*>(worker)->run();
                return 0;
            },
            self.workers[i].get(),
            static_cast<unsigned>(i + 1));
    self.workers_launched = true;
}

/// Publishes a new object to the workers; the old one is kept until all of them have passed.
template <typename Object>
void exchange(std::atomic<const Object*>& shown,
              std::unique_ptr<const Object>& owned,
              std::unique_ptr<const Object> fresh,
              std::unique_ptr<const Object> Retired::*slot) {
    Engine& self = engine();
    shown.store(fresh.get(), std::memory_order_release); // pairs with the load in Worker::process
    std::unique_ptr<const Object> old = std::exchange(owned, std::move(fresh));
    if (!old) return;
    Retired retired;
    retired.token = rte_rcu_qsbr_start(self.shared.qsbr);
    retired.*slot = std::move(old);
    self.retired.push_back(std::move(retired));
}

} // namespace

std::string_view dataplane_version() noexcept {
    return rte_version();
}

std::vector<std::string> start_dataplane(const DataplaneRequest& request) {
    std::vector<std::string> notes;
    try {
        start_all(engine(), request, notes);
    } catch (...) {
        stop_dataplane();
        throw;
    }
    return notes;
}

void stop_dataplane() noexcept {
    Engine& self = engine();
    self.shared.stopping.store(true, std::memory_order_relaxed);
    if (self.workers_launched) rte_eal_mp_wait_lcore();
    self.workers_launched = false;
    for (const auto& worker : self.workers) {
        void* mbuf = nullptr;
        while (rte_ring_dequeue(worker->inject, &mbuf) == 0)
            rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
        rte_ring_free(worker->inject);
        rte_ring_free(worker->events);
    }
    self.workers.clear();
    self.punt.reset();
    for (const Port& port : self.ports)
        close_port(port);
    self.ports.clear();
    self.retired.clear();
    self.snapshot.reset();
    self.next_hops.reset();
    if (self.mempool != nullptr) rte_mempool_free(std::exchange(self.mempool, nullptr));
    if (self.shared.qsbr != nullptr) rte_free(std::exchange(self.shared.qsbr, nullptr));
    if (std::exchange(self.eal_started, false)) rte_eal_cleanup();
}

std::size_t worker_count() noexcept {
    return engine().workers.size();
}

unsigned worker_cpu(WorkerId worker) noexcept {
    return engine().workers[index(worker)]->cpu;
}

const WorkerCounters& read_counters(WorkerId worker) noexcept {
    return engine().workers[index(worker)]->counters;
}

std::vector<PortState> port_states() {
    std::vector<PortState> states;
    for (const Port& port : engine().ports) {
        PortState state = state_of(port);
        for (const auto& worker : engine().workers)
            state.given += worker->given[states.size()].read();
        states.push_back(std::move(state));
    }
    return states;
}

std::vector<std::string> follow_links() {
    Engine& self = engine();
    std::vector<std::string> lacks;
    for (std::size_t i = 0; i < self.ports.size(); ++i) {
        lacks.push_back(lack_of_link(self.ports[i]));
        self.punt->set_carrier(i, lacks.back().empty());
    }
    return lacks;
}

std::uint64_t tsc_hz() noexcept {
    return rte_get_tsc_hz();
}
std::uint64_t tsc_now() noexcept {
    return rte_rdtsc();
}

void publish(std::unique_ptr<const Snapshot> snapshot) {
    Engine& self = engine();
    exchange(self.shared.snapshot, self.snapshot, std::move(snapshot), &Retired::snapshot);
}

void publish(std::unique_ptr<const NextHops> next_hops) {
    Engine& self = engine();
    exchange(self.shared.next_hops, self.next_hops, std::move(next_hops), &Retired::next_hops);
}

void settle() {
    Engine& self = engine();
    const auto until = std::chrono::steady_clock::now() + kSettleLimit;
    const std::uint64_t token = begin_grace();
    while (!grace_over(token) && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(kSettlePause);
    const std::vector<std::uint32_t> marks = self.punt->marks();
    while (!self.punt->has_passed(marks) && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(kSettlePause);
    // The burst that was taken out of a ring last may not have been written to a TAP yet.
    const std::uint64_t round = self.punt->rounds();
    while (self.punt->rounds() == round && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(kSettlePause);
}

void reclaim() {
    Engine& self = engine();
    while (!self.retired.empty() &&
           rte_rcu_qsbr_check(self.shared.qsbr, self.retired.front().token, false) == 1)
        self.retired.pop_front();
}

void set_call_time(CallTime now) noexcept {
    engine().shared.call_time.store(now.value(), std::memory_order_relaxed);
}

std::uint64_t begin_grace() noexcept {
    if (engine().shared.qsbr == nullptr) return 0; // replay: there are no workers to wait for
    return rte_rcu_qsbr_start(engine().shared.qsbr);
}

bool grace_over(std::uint64_t token) noexcept {
    return engine().shared.qsbr == nullptr ||
           rte_rcu_qsbr_check(engine().shared.qsbr, token, false) == 1;
}

bool inject(PortId port, std::span<const std::byte> frame) noexcept {
    Engine& self = engine();
    if (index(port) >= self.ports.size() ||
        frame.size() > self.shared.links[index(link_of(port))].max_frame_bytes)
        return false;
    rte_mbuf* mbuf = rte_pktmbuf_alloc(self.mempool);
    if (mbuf == nullptr) return false;
    char* bytes = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size()));
    if (bytes == nullptr) {
        rte_pktmbuf_free(mbuf);
        return false;
    }
    std::memcpy(bytes, frame.data(), frame.size());
    mbuf->port = static_cast<std::uint16_t>(port);
    const std::size_t worker = self.next_inject_worker++ % self.workers.size();
    if (rte_ring_enqueue(self.workers[worker]->inject, mbuf) == 0) return true;
    rte_pktmbuf_free(mbuf);
    return false;
}

std::optional<Event> next_event() noexcept {
    Engine& self = engine();
    Event event;
    for (std::size_t tried = 0; tried < self.workers.size(); ++tried) {
        const std::size_t worker = (self.next_event_worker + tried) % self.workers.size();
        if (rte_ring_dequeue_elem(self.workers[worker]->events, &event, sizeof(event)) != 0)
            continue;
        self.next_event_worker = worker + 1; // events of one worker do not starve another's
        return event;
    }
    return std::nullopt;
}

} // namespace viaduct
