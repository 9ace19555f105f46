// SPDX-License-Identifier: Apache-2.0
//
// tree_now: what side.cpp must know of a tree like this one: headers, names, and how its pools are
// set. A base with other names gets a file like this one, and a line in side.cpp that chooses it.
#pragma once

#include "full_table.hpp"
#include "pipeline.hpp"
#include "world.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/steer.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace viaduct::ab {

inline constexpr Want kWantForHash = Want::CallReference;

[[nodiscard]] inline const auto& links_of(const test::World& world) noexcept {
    return world.links;
}

/// A pool of three backends that remembers every call.
inline void make_stateful(Pool& pool) {
    auto picker = std::make_shared<Picker>();
    picker->by = SteerBy::RoundRobin;
    picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
    picker->loads = std::make_shared<BackendLoads>();
    picker->members = {{test::kB1, 1}, {test::kB2, 1}, {test::kB3, 1}};
    picker->sequence = {0, 1, 2};
    pool.picker = std::move(picker);
    pool.tracking = Tracking::AllCalls;
}

/// The mark that a call has of its dialog once `frame`, a message inside it, was seen.
inline std::uint8_t dialog_of(const test::World& world, std::byte* frame, std::uint32_t size) {
    constexpr std::size_t kHeaders = 42; // Ethernet, IPv4, UDP
    const SipDigest digest = read_digest({frame + kHeaders, size - kHeaders});
    const HashPrefix& prefix = world.snapshot.pools[index(test::kProxies)].call_id_hash;
    const std::uint64_t hash = hash_key(prefix, digest.call_id);
    bench::FullTable one(1);
    one.add(hash, bench::kNow.after(900), 0);
    Burst burst;
    burst.count = 1;
    set_frame(burst, 0, frame, size, PortId{0});
    run_pipeline({world.snapshot, world.next_hops, world.links, one.table(), bench::kNow}, burst);
    const std::uint8_t dialog = one.table().find(hash, bench::kNow).value().dialog;
    if (dialog == 0) throw std::logic_error("a message inside a dialog did not name it");
    return dialog;
}

inline void add_call(bench::FullTable& table, std::uint64_t hash, std::uint8_t dialog) {
    table.add(hash, bench::kNow.after(900), dialog);
}

} // namespace viaduct::ab
