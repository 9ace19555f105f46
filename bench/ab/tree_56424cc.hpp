// SPDX-License-Identifier: Apache-2.0
//
// tree_56424cc: the same as tree_now.hpp, for trees like that of commit 56424cc.
#pragma once

#include "full_table.hpp"
#include "pipeline.hpp"
#include "world.hpp"

#include "viaduct/message.hpp"
#include "viaduct/steer.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace viaduct::ab {

inline constexpr Want kWantForHash = Want::References;

[[nodiscard]] inline const auto& links_of(const test::World& world) noexcept {
    return world.ports;
}

inline void make_stateful(Pool& pool) {
    auto dealer = std::make_shared<Dealer>();
    dealer->by = SteerBy::RoundRobin;
    dealer->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
    dealer->loads = std::make_shared<BackendLoads>();
    dealer->members = {{test::kB1, 1}, {test::kB2, 1}, {test::kB3, 1}};
    dealer->sequence = {0, 1, 2};
    pool.dealer = std::move(dealer);
    pool.remembers_all = pool.looks_closer = true;
}

/// Calls have one dialog there, and no mark of it.
inline std::uint8_t dialog_of(const test::World&, std::byte*, std::uint32_t) {
    return 0;
}

inline void add_call(bench::FullTable& table, std::uint64_t hash, std::uint8_t) {
    table.add(hash, bench::kNow.after(900));
}

} // namespace viaduct::ab
