// SPDX-License-Identifier: Apache-2.0
#include "viaduct/snapshot_rules.hpp"

#include <algorithm>

namespace viaduct {

namespace {

std::string_view broken_by(const Picker& picker, const Pool& pool, const Snapshot& snapshot) {
    if (pool.tracking != Tracking::AllCalls)
        return "a pool with a picker remembers all calls: no slot shows where they are";
    if (!picker.loads) return "a picker has the loads of the backends";
    if (picker.by == SteerBy::Hash) return "a pool that steers by hash has no picker";
    if (picker.by == SteerBy::RoundRobin && !picker.turn) return "round-robin has a turn";
    if (picker.counts_work() && !info_of(pool.mode).returns_through_us)
        return "requests are counted only where their responses pass";
    const auto exists = [&](const Picker::Member& member) {
        return index(member.id) < snapshot.backends.size();
    };
    if (!std::ranges::all_of(picker.members, exists)) return "a picker's backends exist";
    const auto names = [&](std::uint16_t at) { return at < picker.members.size(); };
    if (!std::ranges::all_of(picker.sequence, names)) return "a sequence names members";
    return {};
}

std::string_view broken_by(const Pool& pool, const Snapshot& snapshot) {
    switch (pool.tracking) {
    case Tracking::MovedSlots:
        if (pool.keys) return "a pool with keys looks up every message";
        break;
    case Tracking::Keys:
        if (!pool.keys) return "only a pool with keys remembers calls by key";
        break;
    case Tracking::AllCalls:
        break;
    }
    if (pool.nat_vip && !info_of(pool.mode).returns_through_us)
        return "only a pool whose responses pass has a VIP that they leave from";
    if (pool.nat_vip && index(*pool.nat_vip) >= snapshot.vips.size())
        return "the VIP that responses leave from exists";
    const CallLifetimes& lives = pool.lifetimes;
    if (lives.cap > lives.silence) return "max_call is at most call_lifetime";
    if (lives.ringing == 0 || lives.transaction == 0) return "a request may be repeated";
    return pool.picker ? broken_by(*pool.picker, pool, snapshot) : std::string_view{};
}

std::string_view broken_by(const Vip& vip, const Snapshot& snapshot) {
    const auto& pools = snapshot.pools;
    if (index(vip.pool) >= pools.size()) return "the pool of a VIP exists";
    const auto found = snapshot.vip_by_endpoint.find(vip.endpoint);
    if (!found || *found >= snapshot.vips.size() || snapshot.vips[*found].endpoint != vip.endpoint)
        return "every VIP is found by its endpoint";
    if (!vip.previous)
        return vip.has_moved || vip.owns_untracked ? "only a VIP with a previous pool moves"
                                                   : std::string_view{};
    if (index(*vip.previous) >= pools.size()) return "the previous pool of a VIP exists";
    if (*vip.previous == vip.pool) return "the previous pool of a VIP is another one";
    for (const PoolId id : {vip.pool, *vip.previous})
        if (pools[index(id)].tracking != Tracking::AllCalls)
            return "both pools of a VIP that moves remember all calls";
    return {};
}

std::string_view broken_by(const Backend& backend, const Snapshot& snapshot) {
    if (backend.name.empty())
        return backend.life == BackendLife::Disabled ? std::string_view{}
                                                     : "an id that is not in use is disabled";
    if (index(backend.pool) >= snapshot.pools.size()) return "the pool of a backend exists";
    const ForwardMode mode = snapshot.pools[index(backend.pool)].mode;
    if (backend.egress != egress_of(mode, backend.egress.hop, backend.endpoint))
        return "the egress of a backend is that of its pool's mode";
    return {};
}

template <typename All> std::string_view first_broken(const All& all, const Snapshot& snapshot) {
    for (const auto& one : all)
        if (const std::string_view rule = broken_by(one, snapshot); !rule.empty()) return rule;
    return {};
}

} // namespace

std::string_view broken_rule(const Snapshot& snapshot) noexcept {
    for (const std::string_view rule : {first_broken(snapshot.pools, snapshot),
                                        first_broken(snapshot.vips, snapshot),
                                        first_broken(snapshot.backends, snapshot)})
        if (!rule.empty()) return rule;
    return {};
}

} // namespace viaduct
