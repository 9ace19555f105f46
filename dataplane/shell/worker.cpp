// SPDX-License-Identifier: Apache-2.0
#include "shell/worker.hpp"

#include "pipeline.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>
#include <rte_ring_elem.h>

#include <algorithm>

namespace viaduct {

namespace {

constexpr std::uint64_t kPuntBurst = 1024; ///< frames that may be punted at once
/// The share of that and of the ring that is reserved for ARP: a flood of other frames must not
/// prevent Viaduct from learning the addresses of next hops.
constexpr std::uint64_t kArpReserve = kPuntBurst / 4;
constexpr std::uint64_t kTellBurst = 256; ///< events of one kind that may follow each other at once
constexpr std::uint16_t kEtherTypeArp = 0x0806;

bool is_arp(const rte_mbuf* mbuf) noexcept {
    return mbuf->data_len >= sizeof(EtherHeader) &&
           rte_pktmbuf_mtod(mbuf, const EtherHeader*)->ether_type == Be16(kEtherTypeArp);
}

/// Fills in a reply to a probe, or an ICMP error that quotes one; claim has checked the lengths.
void fill_in(Event& event, const Frame& frame) noexcept {
    const auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    const std::size_t l4_offset = frame.layout.l4_offset();
    event.link = link_of(frame.rx_port);
    event.source_mac = frame.header_at<EtherHeader>(0).source;
    event.source.address = Ipv4Addr{ip.source.host()};
    if (frame.layout.protocol == kIpProtocolIcmp) {
        const auto& icmp = frame.header_at<IcmpHeader>(l4_offset);
        const std::size_t quoted_offset = frame.claim.quoted_offset;
        const auto& quoted = frame.header_at<Ipv4Header>(quoted_offset);
        const auto& udp =
            frame.header_at<UdpHeader>(quoted_offset + (quoted.version_ihl & 0x0fU) * 4UL);
        event.kind = EventKind::ProbeError;
        event.status = static_cast<std::uint16_t>(icmp.type << 8 | icmp.code);
        event.destination = {Ipv4Addr{quoted.destination.host()}, udp.destination_port.host()};
        event.udp_checksum = udp.checksum.host();
        return;
    }
    const auto& udp = frame.header_at<UdpHeader>(l4_offset);
    event.kind = EventKind::ProbeAnswer;
    event.status = frame.digest.status;
    event.source.udp_port = udp.source_port.host();
    event.destination = {Ipv4Addr{ip.destination.host()}, udp.destination_port.host()};
    event.call_id.assign(frame.digest.call_id);
    event.branch.assign(frame.digest.top_via_branch);
}

} // namespace

void Worker::run() noexcept {
    rte_rcu_qsbr_thread_register(shared->qsbr, static_cast<unsigned>(id));
    rte_rcu_qsbr_thread_online(shared->qsbr, static_cast<unsigned>(id));
    std::array<rte_mbuf*, kMaxBurst> mbufs{};
    punt_tokens = kPuntBurst;
    punt_refilled_tsc = rte_rdtsc();
    std::uint64_t round_tsc = rte_rdtsc();
    burst.clock.end_round(false, counters);
    while (!shared->stopping.load(std::memory_order_relaxed)) {
        std::uint32_t frames = 0;
        for (const RxQueue& queue : rx_queues) {
            const std::uint16_t count =
                rte_eth_rx_burst(queue.ethdev, queue.queue, mbufs.data(), kMaxBurst);
            burst.clock.charge(Stage::Rx);
            if (count > 0) process(queue, mbufs.data(), count, rte_rdtsc());
            frames += count;
        }
        for (const KernelQueue& queue : from_kernel)
            frames +=
                forward_ring(queue.ring, WorkerCounter::FromKernel, WorkerCounter::UnsentKernel);
        frames += forward_ring(inject, WorkerCounter::Injected, WorkerCounter::UnsentInjected);
        // No pointer into a snapshot or next-hop table is held here.
        rte_rcu_qsbr_quiescent(shared->qsbr, static_cast<unsigned>(id));
        counters[WorkerCounter::Polls].add(1);
        const std::uint64_t now = rte_rdtsc();
        if (frames > 0) {
            counters[WorkerCounter::BusyPolls].add(1);
            counters[WorkerCounter::BusyTsc].add(now - round_tsc);
        }
        round_tsc = now;
        burst.clock.end_round(frames > 0, counters);
    }
    rte_rcu_qsbr_thread_offline(shared->qsbr, static_cast<unsigned>(id));
    rte_rcu_qsbr_thread_unregister(shared->qsbr, static_cast<unsigned>(id));
}

void Worker::process(const RxQueue& queue,
                     rte_mbuf** mbufs,
                     std::uint16_t count,
                     std::uint64_t rx_tsc) noexcept {
    counters[WorkerCounter::Received].add(count);
    for (std::uint16_t i = 0; i < count; ++i)
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
    for (std::uint16_t i = 0; i < count; ++i)
        set_frame(burst, i, rte_pktmbuf_mtod(mbufs[i], std::byte*), mbufs[i]->data_len, queue.port);
    burst.count = count;

    // acquire: pairs with the release in publish()
    const Snapshot* snapshot = shared->snapshot.load(std::memory_order_acquire);
    const NextHops* next_hops = shared->next_hops.load(std::memory_order_acquire);
    if (snapshot != nullptr && next_hops != nullptr) {
        const CallTime call_time(shared->call_time.load(std::memory_order_relaxed));
        const std::uint32_t a_second = snapshot->calls_a_second; // 0: no limit
        std::uint32_t budget =
            a_second == 0 ? 0 : shared->new_calls.take(count, a_second, rx_tsc, tsc_per_second);
        run_pipeline({*snapshot,
                      *next_hops,
                      shared->links,
                      shared->calls,
                      call_time,
                      a_second == 0 ? nullptr : &budget,
                      {&shared->clients, static_cast<std::uint32_t>(rx_tsc >> client_clock_shift)}},
                     burst);
        if (budget > 0) shared->new_calls.give_back(budget, a_second, tsc_per_second);
        if (burst.calls.remembered > 0)
            counters[WorkerCounter::CallsRemembered].add(burst.calls.remembered);
        if (burst.calls.table_full > 0)
            counters[WorkerCounter::CallTableFull].add(burst.calls.table_full);
        if (burst.calls.flooded > 0) counters[WorkerCounter::CallsFlooded].add(burst.calls.flooded);
    } else { // nothing published yet: all traffic is foreign
        burst.live_count = 0;
        burst.outcomes.fill(Outcome::Punted);
    }

    if (burst.live_count < count) finish_unsent(queue, mbufs, rx_tsc);
    transmit(mbufs);
    burst.clock.charge(Stage::Rest);
}

/// Handles the frames that are not sent: punts them to the kernel, or frees them.
void Worker::finish_unsent(const RxQueue& queue, rte_mbuf** mbufs, std::uint64_t rx_tsc) noexcept {
    std::array<bool, kMaxBurst> live{};
    for (std::size_t i = 0; i < burst.live_count; ++i)
        live[burst.live[i]] = true;
    std::array<rte_mbuf*, kMaxBurst> dropped{};
    unsigned dropped_count = 0;
    for (std::size_t i = 0; i < burst.count; ++i) {
        if (live[i]) continue;
        Outcome outcome = burst.outcomes[i];
        if (info_of(outcome).disposition == Disposition::ToKernel)
            outcome = punt(queue.port, mbufs[i], rx_tsc);
        counters[outcome].add(1);
        const Disposition disposition = info_of(outcome).disposition;
        if (disposition == Disposition::ToKernel) continue;
        if (disposition == Disposition::ToControl) emit_event(burst.frames[i], outcome, rx_tsc);
        dropped[dropped_count++] = mbufs[i];
    }
    if (dropped_count > 0) rte_pktmbuf_free_bulk(dropped.data(), dropped_count);
}

void Worker::transmit(rte_mbuf** mbufs) noexcept {
    for (std::size_t i = 0; i < burst.live_count; ++i) { // the stages may have moved start and end
        const Frame& frame = burst.frames[burst.live[i]];
        rte_mbuf* const mbuf = mbufs[burst.live[i]];
        mbuf->data_off =
            static_cast<std::uint16_t>(frame.bytes - static_cast<const std::byte*>(mbuf->buf_addr));
        mbuf->data_len = static_cast<std::uint16_t>(frame.length);
        mbuf->pkt_len = frame.length;
    }
    for (std::size_t port = 0; port < shared->ethdevs.size(); ++port) {
        TxBatch batch;
        for (std::size_t i = 0; i < burst.live_count; ++i) {
            const std::uint8_t at = burst.live[i];
            if (index(burst.frames[at].exit.tx_port) != port) continue;
            batch.mbufs[batch.count] = mbufs[at];
            batch.frames[batch.count++] = at;
        }
        if (batch.count > 0) send_batch(PortId{static_cast<std::uint8_t>(port)}, batch);
    }
}

void Worker::send_batch(PortId port, TxBatch& batch) noexcept {
    burst.clock.charge(Stage::Rest);
    const std::uint16_t sent = rte_eth_tx_burst(shared->ethdevs[index(port)],
                                                static_cast<std::uint16_t>(id),
                                                batch.mbufs.data(),
                                                batch.count);
    burst.clock.charge(Stage::Tx);
    counters[WorkerCounter::Sent].add(sent);
    given[index(port)].add(sent);
    std::uint64_t returned = 0;
    std::uint64_t rejected = 0;
    for (std::uint16_t i = 0; i < sent; ++i) {
        const Frame& frame = burst.frames[batch.frames[i]];
        if (frame.target.reply) [[unlikely]] {
            ++rejected;
            continue;
        }
        const bool is_returned = sent_outcome(frame) == Outcome::Returned;
        if (is_returned && frame.exit.is_guess) [[unlikely]]
            emit_event(frame, Outcome::NextHopUnresolved, rte_rdtsc());
        returned += is_returned ? 1U : 0U;
        (is_returned ? counters.returned : counters.forwarded)[index(*frame.target.backend)].add(1);
    }
    counters[Outcome::Returned].add(returned);
    counters[Outcome::Rejected].add(rejected);
    counters[Outcome::Forwarded].add(sent - returned - rejected);
    if (sent == batch.count) return;
    const auto unsent = static_cast<std::uint16_t>(batch.count - sent);
    counters[Outcome::TxFull].add(unsent);
    rte_pktmbuf_free_bulk(batch.mbufs.data() + sent, unsent);
}

Outcome Worker::punt(PortId port, rte_mbuf* mbuf, std::uint64_t tsc) noexcept {
    const std::uint64_t earned = (tsc - punt_refilled_tsc) / tsc_per_punt;
    if (earned > 0) {
        punt_tokens = std::min(kPuntBurst, punt_tokens + earned);
        punt_refilled_tsc += earned * tsc_per_punt;
    }
    const std::uint64_t reserve = is_arp(mbuf) ? 0 : kArpReserve;
    if (punt_tokens <= reserve || rte_ring_free_count(to_kernel) <= reserve)
        return Outcome::PuntLimited;
    mbuf->port = static_cast<std::uint16_t>(port);
    if (rte_ring_enqueue(to_kernel, mbuf) != 0) return Outcome::PuntLimited;
    --punt_tokens;
    return Outcome::Punted;
}

/// Limits events: one of many is enough, since the next packet repeats it, and probe replies need
/// the ring more.
bool Worker::may_tell(std::uint64_t& told_tsc, std::uint64_t rx_tsc) const noexcept {
    // The time by which all reported events are earned, as in RateLimit: many new clients may come
    // at once.
    told_tsc = std::max(told_tsc, rx_tsc - kTellBurst * tsc_per_miss);
    if (told_tsc > rx_tsc || rte_ring_count(events) > rte_ring_get_capacity(events) / 2)
        return false;
    told_tsc += tsc_per_miss;
    return true;
}

void Worker::emit_event(const Frame& frame, Outcome outcome, std::uint64_t rx_tsc) noexcept {
    Event event;
    event.rx_tsc = rx_tsc;
    if (outcome == Outcome::NextHopUnresolved) {
        if (!may_tell(miss_told_tsc, rx_tsc)) return;
        event.kind = EventKind::NextHopMiss;
        event.link = frame.exit.link;
        event.destination.address = frame.exit.next_hop;
    } else {
        fill_in(event, frame);
        // Frames that are not like replies to our probes may be forged: they get only a share of
        // the ring.
        const bool is_like_ours =
            event.kind == EventKind::ProbeAnswer && !frame.claim.is_stranger &&
            event.call_id.length == kProbeCallIdLength && event.branch.length == kProbeBranchLength;
        if (!is_like_ours && !may_tell(odd_told_tsc, rx_tsc)) return;
    }
    if (rte_ring_enqueue_elem(events, &event, sizeof(event)) != 0)
        counters[WorkerCounter::EventsLost].add(1);
}

std::uint16_t Worker::forward_ring(rte_ring* ring,
                                   WorkerCounter sent_counter,
                                   WorkerCounter unsent_counter) noexcept {
    std::array<void*, kMaxBurst> objects{};
    const auto count = static_cast<std::uint16_t>(
        rte_ring_dequeue_burst(ring, objects.data(), objects.size(), nullptr));
    for (std::uint16_t i = 0; i < count; ++i) {
        auto* mbuf = static_cast<rte_mbuf*>(objects[i]);
        const std::uint16_t port = mbuf->port; // read before the driver owns the mbuf
        const std::uint16_t sent =
            rte_eth_tx_burst(shared->ethdevs[port], static_cast<std::uint16_t>(id), &mbuf, 1);
        counters[sent == 1 ? sent_counter : unsent_counter].add(1);
        if (sent == 1) {
            counters[WorkerCounter::Sent].add(1);
            given[port].add(1);
        } else {
            rte_pktmbuf_free(mbuf);
        }
    }
    return count;
}

} // namespace viaduct
