// SPDX-License-Identifier: Apache-2.0
//
// counters: the outcomes of packets, and the counters that each worker keeps.
//
// Each outcome has a counter: received = sum of outcomes, at any quiet moment. A new reason is an
// enumerator and a row; the metric, `show outcomes` and the reference are derived from the row.
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace viaduct {

enum class Outcome : std::uint8_t {
    Forwarded,
    Returned,
    ProbeAnswer,
    Punted,
    PuntLimited,
    ForeignMac,
    OwnSource,
    BadFrame,
    BadIp,
    BadUdp,
    Vlan,
    Fragment,
    KeepAlive,
    Stun,
    NotSip,
    NoCallId,
    AmbiguousCallId,
    TooManyHeaderLines,
    VipDisabled,
    HealthUnknown,
    NoBackend,
    OverLimit,
    DeadOwner,
    Rejected,
    BackendToVip,
    TtlExpired,
    NoRoute,
    NextHopUnresolved,
    TooBig,
    TxFull,
    Internal
};

inline constexpr std::size_t kOutcomeCount = count_of<Outcome>();
/// The outcome of a frame that has none yet.
inline constexpr Outcome kNoOutcome{kOutcomeCount};

/// What the worker does with a frame of this outcome.
enum class Disposition : std::uint8_t {
    Transmit,  ///< a port has accepted it
    ToKernel,  ///< the punt thread gets it
    ToControl, ///< the control plane gets an event about it; its buffer is freed
    Free
};

struct OutcomeInfo {
    Outcome outcome;
    Disposition disposition;
    std::string_view name; ///< as `show outcomes`, replay and metrics print it
    std::string_view help;
};

inline constexpr std::array<OutcomeInfo, kOutcomeCount> kOutcomes{{
    {Outcome::Forwarded, Disposition::Transmit, "forwarded", "sent to a backend"},
    {Outcome::Returned,
     Disposition::Transmit,
     "returned",
     "from a backend, sent to the client (nat)"},
    {Outcome::ProbeAnswer,
     Disposition::ToControl,
     "probe_answer",
     "answer to a health probe, or an ICMP error about one, passed to the control plane"},
    {Outcome::Punted,
     Disposition::ToKernel,
     "punted",
     "foreign traffic, passed to the kernel through the port's TAP twin"},
    {Outcome::PuntLimited,
     Disposition::Free,
     "punt_limited",
     "foreign traffic above the rate limit towards the kernel, dropped"},
    {Outcome::ForeignMac,
     Disposition::Free,
     "foreign_mac",
     "addressed to another station's MAC on a shared segment"},
    {Outcome::OwnSource,
     Disposition::Free,
     "own_source",
     "source MAC is the port's own: a frame of this port came back"},
    {Outcome::BadFrame, Disposition::Free, "bad_frame", "shorter than an Ethernet header"},
    {Outcome::BadIp,
     Disposition::Free,
     "bad_ip",
     "IPv4 header or total length does not fit in the frame (RFC 791)"},
    {Outcome::BadUdp,
     Disposition::Free,
     "bad_udp",
     "UDP length does not fit in the IP packet (RFC 768)"},
    {Outcome::Vlan,
     Disposition::Free,
     "vlan",
     "packet for a VIP with a VLAN tag: not supported yet"},
    {Outcome::Fragment,
     Disposition::Free,
     "fragment",
     "IP fragment for a VIP or from a backend: not supported yet"},
    {Outcome::KeepAlive,
     Disposition::Free,
     "keepalive",
     "keep-alive for a VIP: empty, CRLF or zero bytes (RFC 5626 §3.5.1, §4.4.1)"},
    {Outcome::Stun, Disposition::Free, "stun", "STUN for a VIP (RFC 5389 §6)"},
    {Outcome::NotSip,
     Disposition::Free,
     "not_sip",
     "packet for a VIP with neither a SIP first line nor a Call-ID (RFC 3261 §7)"},
    {Outcome::NoCallId,
     Disposition::Free,
     "no_call_id",
     "SIP message without a Call-ID (RFC 3261 §8.1.1.4)"},
    {Outcome::AmbiguousCallId,
     Disposition::Free,
     "ambiguous_call_id",
     "several different Call-IDs, or more than 4 equal ones: two parsers could choose differently"},
    {Outcome::TooManyHeaderLines,
     Disposition::Free,
     "too_many_header_lines",
     "more header lines than the VIP's max_header_lines"},
    {Outcome::VipDisabled, Disposition::Free, "vip_disabled", "packet for a disabled VIP"},
    {Outcome::HealthUnknown,
     Disposition::Free,
     "health_unknown",
     "the health of the pool's backends is not known yet"},
    {Outcome::NoBackend, Disposition::Free, "no_backend", "no backend of the pool can take it"},
    {Outcome::OverLimit,
     Disposition::Free,
     "over_limit",
     "new call, and every eligible backend is at its max_calls"},
    {Outcome::DeadOwner,
     Disposition::Free,
     "dead_owner",
     "the call's backend is down and on_dead_owner = drop (or reject, and the message has no "
     "reply)"},
    {Outcome::Rejected,
     Disposition::Transmit,
     "rejected",
     "answered with 481: the call's backend is down and on_dead_owner = reject, or a nat backend "
     "sent it to a VIP, in a call whose other side is unknown"},
    {Outcome::BackendToVip,
     Disposition::Free,
     "backend_to_vip",
     "a nat backend sent a response or ACK to a VIP, in a call whose other side is unknown"},
    {Outcome::TtlExpired,
     Disposition::Free,
     "ttl_expired",
     "the time to live expired in the balancer (nat)"},
    {Outcome::NoRoute, Disposition::Free, "no_route", "no route to the client (nat)"},
    {Outcome::NextHopUnresolved,
     Disposition::ToControl,
     "next_hop_unresolved",
     "the MAC address of the next hop is not known yet"},
    {Outcome::TooBig, Disposition::Free, "too_big", "larger than the MTU of its output port"},
    {Outcome::TxFull, Disposition::Free, "tx_full", "the port's TX queue was full"},
    {Outcome::Internal,
     Disposition::Free,
     "internal",
     "unreachable code was reached; please report this bug"},
}};

/// What a worker counts in addition to outcomes.
enum class WorkerCounter : std::uint8_t {
    Received,
    Sent,
    FromKernel,
    Injected,
    UnsentKernel,
    UnsentInjected,
    EventsLost,
    CallsRemembered,
    CallTableFull,
    CallsFlooded,
    Polls,
    BusyPolls,
    BusyTsc
};

inline constexpr std::size_t kWorkerCounterCount = count_of<WorkerCounter>();

struct WorkerCounterInfo {
    WorkerCounter counter;
    std::string_view name;
    std::string_view help;
};

inline constexpr std::array<WorkerCounterInfo, kWorkerCounterCount> kWorkerCounters{{
    {WorkerCounter::Received,
     "received",
     "frames that the ports delivered; the sum of all outcomes"},
    {WorkerCounter::Sent,
     "sent",
     "frames that the ports accepted from this worker, of every origin"},
    {WorkerCounter::FromKernel, "from_kernel", "frames that the kernel sent through a TAP twin"},
    {WorkerCounter::Injected, "injected", "frames that the control plane sent (health probes)"},
    {WorkerCounter::UnsentKernel,
     "unsent_kernel",
     "frames from the kernel that a TX queue did not accept"},
    {WorkerCounter::UnsentInjected, "unsent_injected", "probes that a TX queue did not accept"},
    {WorkerCounter::EventsLost, "events_lost", "events dropped because the event ring was full"},
    {WorkerCounter::CallsRemembered, "calls_remembered", "calls added to the call table"},
    {WorkerCounter::CallTableFull,
     "call_table_full",
     "calls not tracked because the call table was full; they were steered by hash"},
    {WorkerCounter::CallsFlooded,
     "calls_flooded",
     "calls not tracked because of the limit steering.new_calls; they were steered by hash"},
    {WorkerCounter::Polls, "polls", "iterations of the worker's loop"},
    {WorkerCounter::BusyPolls, "busy_polls", "iterations that found at least one frame"},
    {WorkerCounter::BusyTsc,
     "busy_tsc",
     "TSC ticks spent in iterations that found at least one frame"},
}};

static_assert(rows_in_order(kOutcomes, &OutcomeInfo::outcome), "kOutcomes lists every Outcome");
static_assert(rows_in_order(kWorkerCounters, &WorkerCounterInfo::counter),
              "kWorkerCounters lists every WorkerCounter");

[[nodiscard]] constexpr const OutcomeInfo& info_of(Outcome outcome) noexcept {
    return kOutcomes[static_cast<std::size_t>(outcome)];
}
/// The name of an outcome as the operator reads it, e.g. "no_call_id".
[[nodiscard]] constexpr std::string_view name_of(Outcome outcome) noexcept {
    return info_of(outcome).name;
}

/// The stages whose ticks are measured in a build with -Dstage_tsc=true, in the order of
/// processing.
enum class Stage : std::uint8_t {
    Rx,
    Decode,
    Claim,
    Digest,
    Admit,
    Steer,
    Route,
    Edit,
    Emit,
    Tx,
    Rest
};

inline constexpr std::size_t kStageCount = count_of<Stage>();
inline constexpr std::array<std::string_view, kStageCount> kStageNames{
    "rx", "decode", "claim", "digest", "admit", "steer", "route", "edit", "emit", "tx", "rest"};
static_assert(names_all<Stage>(kStageNames));

#ifdef VIADUCT_STAGE_TSC
inline constexpr bool kStageTsc = true;
#else
inline constexpr bool kStageTsc = false;
#endif

/// A counter with one writer: adding is a plain load and store, never a locked instruction.
class Counter {
public:
    /// Only the owning worker calls this.
    void add(std::uint64_t amount) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    /// Any thread; may be a few packets late.
    [[nodiscard]] std::uint64_t read() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint64_t> value_{0}; // writer: one worker; reader: control, relaxed
};

/// All counters of one worker. Writer: that worker; reader: the control plane, at any time.
struct alignas(64) WorkerCounters {
    std::array<Counter, kOutcomeCount> outcomes;
    std::array<Counter, kWorkerCounterCount> values;
    std::array<Counter, kStageCount> stage_tsc;  ///< for busy rounds; 0 unless kStageTsc
    std::array<Counter, kMaxBackends> forwarded; ///< by BackendId: packets sent to it
    std::array<Counter, kMaxBackends> returned;  ///< by BackendId: packets from it sent on

    Counter& operator[](Outcome outcome) noexcept {
        return outcomes[static_cast<std::size_t>(outcome)];
    }
    const Counter& operator[](Outcome outcome) const noexcept {
        return outcomes[static_cast<std::size_t>(outcome)];
    }
    Counter& operator[](WorkerCounter counter) noexcept {
        return values[static_cast<std::size_t>(counter)];
    }
    const Counter& operator[](WorkerCounter counter) const noexcept {
        return values[static_cast<std::size_t>(counter)];
    }
};

} // namespace viaduct
