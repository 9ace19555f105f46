// SPDX-License-Identifier: Apache-2.0
//
// snapshot: what a worker must know to forward: VIPs, pools, backends, slot tables.
//
// The control plane builds it (publish.cpp), publishes it through one pointer, and frees it when no
// worker can still use it. It is immutable once published. Unchanged tables are shared between
// snapshots. After a burst do not keep pointers into a snapshot: keep ids.
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"
#include "viaduct/next_hops.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/call_table.hpp"
#include "viaduct/steering/keys.hpp"
#include "viaduct/steering/picker.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

enum class ForwardMode : std::uint8_t { DsrL2, Nat };

/// The properties of a mode. Code tests the column that it needs, never the mode.
struct ForwardModeInfo {
    ForwardMode mode;
    std::string_view name;   ///< as in the configuration
    bool backend_owns_vip;   ///< the destination stays the VIP; else it becomes the backend's
    bool by_mac;             ///< the backend is on a port's segment and is reached by its MAC alone
    bool returns_through_us; ///< the backends' responses pass here, and leave from the VIP
    bool decrements_ttl;     ///< we are a router (RFC 1812 §5.3.1)
    std::string_view help;
};

inline constexpr std::array<ForwardModeInfo, count_of<ForwardMode>()> kForwardModes{{
    {.mode = ForwardMode::DsrL2,
     .name = "dsr-l2",
     .backend_owns_vip = true,
     .by_mac = true,
     .returns_through_us = false,
     .decrements_ttl = false,
     .help = "both MACs change; the backend owns the VIP and answers clients itself"},
    {.mode = ForwardMode::Nat,
     .name = "nat",
     .backend_owns_vip = false,
     .by_mac = false,
     .returns_through_us = true,
     .decrements_ttl = true,
     .help = "destination becomes the backend; its answers come back through us"},
}};
static_assert(rows_in_order(kForwardModes, &ForwardModeInfo::mode));

[[nodiscard]] constexpr const ForwardModeInfo& info_of(ForwardMode mode) noexcept {
    return kForwardModes[static_cast<std::size_t>(mode)];
}
[[nodiscard]] constexpr std::string_view name_of(ForwardMode mode) noexcept {
    return info_of(mode).name;
}

/// The 16 secret bytes that key every steering hash. The same on all balancers of a cluster.
using SteeringSecret = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kSlots = 65'536;

/// Slot -> backend. The control plane fills it (table.cpp), with any algorithm.
using SlotTable = std::array<BackendId, kSlots>;

/// In a SlotTable: the slot has no owner.
inline constexpr BackendId kNoBackend{0xffff};

/// The slots on which the generations in memory disagree. Their calls may have started at another
/// backend than new calls do, so they are looked up in the table of calls.
struct Unsettled {
    std::array<std::uint64_t, kSlots / 64> bits{}; ///< slot s: bit s % 64 of word s / 64
    /// The owners in the oldest generation in memory, for calls that are not remembered.
    std::shared_ptr<const SlotTable> old;

    [[nodiscard]] bool contains(std::uint32_t slot) const noexcept {
        return (bits[slot / 64] >> (slot % 64) & 1) != 0;
    }
};

/// The slots of a pool that have a remembered call at another backend than the owner of the slot.
/// Shared by all snapshots of the pool.
class SlotMarks {
public:
    [[nodiscard]] bool any() const noexcept {
        return any_.load(std::memory_order_relaxed) != Any::No;
    }
    [[nodiscard]] bool contains(std::uint32_t slot) const noexcept {
        return marks_[slot].load(std::memory_order_relaxed) != 0;
    }
    /// Called by any worker, before or after it changes the call's word, in the same burst.
    void mark(std::uint32_t slot) noexcept {
        if (marks_[slot].load(std::memory_order_relaxed) == kFresh &&
            any_.load(std::memory_order_relaxed) == Any::Yes)
            return;
        marks_[slot].store(kFresh, std::memory_order_seq_cst);
        any_.store(Any::Yes, std::memory_order_seq_cst);
    }

    /// Starts a sweep of the table of calls: earlier marks count as old from now on. Let every
    /// worker finish its burst before the sweep starts; otherwise the sweep may miss its word.
    /// Control only (call_table_file.cpp).
    void begin_sweep() noexcept;
    /// Removes old marks of slots that the sweep did not find. All other marks stay visible
    /// throughout. Control only.
    void end_sweep(const std::vector<bool>& found) noexcept;

private:
    static constexpr std::uint8_t kOld = 1;
    static constexpr std::uint8_t kFresh = 2;
    enum class Any : std::uint8_t { No, Perhaps, Yes };     // perhaps: control is checking
    std::array<std::atomic<std::uint8_t>, kSlots> marks_{}; // writers: workers, control
    std::atomic<Any> any_{Any::No};                         // writers: workers, control
};

/// What happens to the calls of a backend.
enum class BackendLife : std::uint8_t {
    Serves,   ///< calls go on, whether it takes new ones or not
    Silent,   ///< down for less than 64*T1: in-call messages still go there
    Dead,     ///< down for longer: OnDeadOwner decides
    Disabled, ///< or id not in use: like Dead, but nothing ever goes there
};

/// What changes in a frame that goes to a backend or comes from it. The control plane makes it of
/// the mode of the backend's pool, so that route and emit ask no
/// mode.
struct Egress {
    HopId hop{};                     ///< how to reach the backend, in NextHops
    bool edits_l3 = false;           ///< any of the following; otherwise only the MACs change
    bool decrements_ttl = false;     ///< on the way to it and from it
    bool returns_through_us = false; ///< its messages leave with the VIP as source
    bool edits_destination = false;  ///< on the way to it the destination becomes:
    Endpoint destination;

    bool operator==(const Egress&) const = default;
};

[[nodiscard]] constexpr Egress egress_of(ForwardMode mode, HopId hop, Endpoint backend) noexcept {
    const ForwardModeInfo& info = info_of(mode);
    return {.hop = hop,
            .edits_l3 = info.decrements_ttl || info.returns_through_us || !info.backend_owns_vip,
            .decrements_ttl = info.decrements_ttl,
            .returns_through_us = info.returns_through_us,
            .edits_destination = !info.backend_owns_vip,
            .destination = backend};
}

struct Backend {
    std::string name; ///< empty: the id is not in use
    Endpoint endpoint;
    PoolId pool{};
    Egress egress;
    BackendLife life = BackendLife::Serves;
    bool is_evacuating = false; ///< it drains, leaves or has weight 0, and takes no new calls
};

/// What happens to an in-call message whose backend is down.
enum class OnDeadOwner : std::uint8_t {
    Resteer, ///< it goes where new calls go, and this is not remembered; a response still goes to
             ///< its backend, unless that is disabled
    Keep,    ///< it goes to its backend, unless that is disabled
    Drop,    ///< it is dropped as dead_owner
    Reject,  ///< requests are answered with 481, other messages are dropped as dead_owner
};

/// Which calls of a pool are remembered.
enum class Tracking : std::uint8_t {
    MovedSlots, ///< those whose slot does not show where they are
    Keys,       ///< and registrations, and calls that another key than the Call-ID steers
    AllCalls,   ///< all, also at their slot's owner
};

/// How long calls are remembered, in units of CallTime.
struct CallLifetimes {
    std::uint16_t silence = 0;      ///< since the last message of the call
    std::uint16_t cap = 0;          ///< since its first: `max_call`, at most `silence`; 0: none
    std::uint16_t ringing = 1;      ///< how long an INVITE may be unanswered
    std::uint16_t transaction = 1;  ///< how long a request may be repeated, rounded up
    std::uint32_t unit_seconds = 0; ///< of CallTime; 0: soft state is remembered like calls

    /// The time in which a request may be repeated and its response may arrive.
    [[nodiscard]] constexpr std::uint16_t once() const noexcept {
        return std::min<std::uint16_t>(silence, transaction + 1U);
    }
    /// The given seconds, plus the time in which the last request before their end may be repeated.
    [[nodiscard]] constexpr std::uint16_t of_seconds(std::uint32_t seconds) const noexcept {
        if (unit_seconds == 0) return silence;
        const std::uint64_t units = std::uint64_t{seconds} / unit_seconds + 1 + transaction;
        return static_cast<std::uint16_t>(std::min<std::uint64_t>(silence, units));
    }
};

struct Pool {
    std::string name;
    ForwardMode mode = ForwardMode::DsrL2;
    bool health_known = false; ///< every backend that may be used was seen up, busy or down once
    HashPrefix call_id_hash; ///< of the secret, a group derived from the pool's name, the key type
    std::shared_ptr<const SlotTable> slots; ///< owners of new calls; null: no backend is eligible
    std::optional<VipId> nat_vip;           ///< nat: what clients see as the source of responses
    std::shared_ptr<const Unsettled> unsettled{}; ///< null: all slots are settled
    std::shared_ptr<SlotMarks> marks{};           ///< null: nothing is ever remembered
    OnDeadOwner on_dead_owner = OnDeadOwner::Resteer;
    bool shared_state = false; ///< any backend can continue a call whose backend is down
    CallLifetimes lifetimes{};
    std::shared_ptr<const Picker> picker{}; ///< null: the hash chooses
    std::shared_ptr<const PoolKeys> keys{}; ///< null: the Call-ID for all messages
    HashPrefix transaction_hash{};          ///< for pickers that count work
    Tracking tracking = Tracking::MovedSlots;

    [[nodiscard]] bool tracks_all_calls() const noexcept { return tracking == Tracking::AllCalls; }
    /// Every message is looked up: the owner of its slot never decides alone.
    [[nodiscard]] bool always_looks_up() const noexcept { return tracking != Tracking::MovedSlots; }
};

struct Vip {
    std::string name;
    Endpoint endpoint;
    PoolId pool{};
    bool enabled = true;
    /// For messages of clients, also in explain and replay. A hash pool needs the Call-ID only.
    ReadRules read_rules{Want::CallReference};
    LinkId link{}; ///< its link: responses to clients leave through this link's gateway
    /// The pool in which its calls started earlier.
    std::optional<PoolId> previous{};
    bool has_moved = false; ///< with `previous`: new calls go to `pool` now
    bool owns_untracked =
        false; ///< unknown calls are taken to have started in `pool`, not `previous`

    /// For everything that steering may need; the VIP's other rules apply.
    [[nodiscard]] ReadRules whole_reading() const noexcept {
        ReadRules rules = read_rules;
        rules.want = kWantForCalls;
        return rules;
    }
};

/// (address, UDP port) -> a 16-bit number. UDP port 0 means the address alone. Open addressing;
/// filled before it is published, then only read.
class EndpointIndex {
public:
    EndpointIndex() = default;
    explicit EndpointIndex(std::size_t entries) : slots_(std::bit_ceil(entries * 2 + 2)) {}

    /// Keeps the first value given for a key. Insert no more keys than the constructor was given.
    void insert(Endpoint key, std::uint16_t value) {
        std::size_t at = start(key);
        while (slots_[at].used) {
            if (slots_[at].key == key) return;
            at = (at + 1) & (slots_.size() - 1);
        }
        slots_[at] = {key, value, true};
        empty_ = false;
    }

    [[nodiscard]] std::optional<std::uint16_t> find(Endpoint key) const noexcept {
        if (empty_) return std::nullopt;
        for (std::size_t at = start(key); slots_[at].used; at = (at + 1) & (slots_.size() - 1))
            if (slots_[at].key == key) return slots_[at].value;
        return std::nullopt;
    }

private:
    struct Slot {
        Endpoint key;
        std::uint16_t value = 0;
        bool used = false;
    };
    [[nodiscard]] std::size_t start(Endpoint key) const noexcept {
        const std::uint64_t mixed =
            (std::uint64_t{key.address.value} << 16 | key.udp_port) * 0x9e3779b97f4a7c15U;
        return static_cast<std::size_t>(mixed >> 32) & (slots_.size() - 1);
    }
    std::vector<Slot> slots_; // at most half full, so a search always ends
    bool empty_ = true;       // most configurations leave some of these indexes empty
};

struct Snapshot {
    std::uint64_t number = 0; ///< counts publications
    /// How many calls all workers may add to the table in a second; 0: no limit.
    std::uint32_t calls_a_second = 0;
    SteeringSecret secret{};
    std::vector<Vip> vips;         ///< by VipId
    std::vector<Pool> pools;       ///< by PoolId
    std::vector<Backend> backends; ///< by BackendId

    EndpointIndex vip_by_endpoint; ///< VIP address and UDP port -> VipId
    EndpointIndex vip_addresses;   ///< VIP address, UDP port 0 -> any VipId that has it
    EndpointIndex own_addresses;   ///< the balancer's own addresses, UDP port 0 -> 0
    EndpointIndex probe_endpoints; ///< the balancer's own address and probe UDP port -> 0
    EndpointIndex probe_sources;   ///< VIP and backend addresses, UDP port 0: they answer probes
    EndpointIndex nat_backends;    ///< nat backend's address and UDP port (0: any) -> BackendId
    EndpointIndex nat_addresses;   ///< nat backend's address, UDP port 0 -> any BackendId there
};

} // namespace viaduct
