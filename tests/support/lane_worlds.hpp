// SPDX-License-Identifier: Apache-2.0
//
// lane_worlds: worlds in which the lane takes frames, or leaves some of them to the stages.
#pragma once

#include "frame_builder.hpp"
#include "lane.hpp"
#include "world.hpp"

#include "viaduct/steering/picker.hpp"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace viaduct::test {

[[nodiscard]] inline FrameBuilder to_dsr() {
    return frame().ipv4(kClient, kDsrVip).udp(40'000, 5060);
}

/// Marks and unsettled slots: half of all slots are not settled.
inline void unsettle_half(World& world) {
    auto unsettled = std::make_shared<Unsettled>();
    unsettled->bits.fill(0x5555'5555'5555'5555U);
    Pool& pool = world.snapshot.pools[index(kProxies)];
    auto old = std::make_shared<SlotTable>();
    old->fill(kB3);
    unsettled->old = std::move(old);
    pool.unsettled = std::move(unsettled);
    pool.marks = std::make_shared<SlotMarks>();
    pool.lifetimes.silence = 100;
    world.give_call_table();
}

/// Chooses among two backends, each of which may have 30 calls.
[[nodiscard]] inline std::shared_ptr<Picker> picker(SteerBy by) {
    auto made = std::make_shared<Picker>();
    made->by = by;
    made->members = {{kB1, 1, 30}, {kB2, 1, 30}};
    made->sequence = {0, 1};
    made->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
    made->loads = std::make_shared<BackendLoads>();
    return made;
}

inline void remember_all(World& world, std::shared_ptr<const Picker> chosen_by = nullptr) {
    Pool& pool = world.snapshot.pools[index(kProxies)];
    pool.picker = std::move(chosen_by);
    pool.tracking = Tracking::AllCalls;
    pool.marks = std::make_shared<SlotMarks>();
    pool.lifetimes.silence = 100;
    world.snapshot.vips[0].read_rules.want = kWantForCalls;
    world.give_call_table();
}

/// Gives the second VIP a pool like the first one, with other slots and another hash.
inline void add_second_vip(World& world) {
    Pool& pool = world.snapshot.pools[index(kInside)];
    set_mode(world.snapshot, kInside, ForwardMode::DsrL2);
    pool.nat_vip.reset();
    world.snapshot.vips[index(kNattedVip)].read_rules.want = Want::CallReference;
}

/// What the lane alone does with a burst.
[[nodiscard]] inline LaneResult
lane_of(const World& here, std::vector<Bytes>& frames, Burst& burst) {
    burst.count = frames.size();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const auto length = static_cast<std::uint32_t>(frames[i].size());
        set_frame(burst, i, frames[i].data(), length, PortId{0});
    }
    return run_lane(here.view(), burst);
}

} // namespace viaduct::test
