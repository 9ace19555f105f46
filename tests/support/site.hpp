// SPDX-License-Identifier: Apache-2.0
//
// site: a pool that steers calls by a picker and remembers them in its own table, and the messages
// of these calls.
#pragma once

#include "digests.hpp"
#include "own_table.hpp"
#include "valid_snapshot.hpp"
#include "world.hpp"

#include "viaduct/steering/picker.hpp"
#include "viaduct/steering/steer.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

struct Site {
    explicit Site(SteerBy by, const std::vector<unsigned>& weights = {1, 1, 1}) {
        picker->by = by;
        picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
        picker->loads = std::make_shared<BackendLoads>();
        for (std::uint16_t i = 0; const unsigned weight : weights) {
            picker->members.push_back({BackendId{i}, weight});
            for (unsigned n = 0; n < weight; ++n)
                picker->sequence.push_back(i);
            ++i;
        }
        Pool& pool = here.snapshot.pools[index(kProxies)];
        pool.picker = picker;
        if (picker->counts_work()) set_mode(here.snapshot, kProxies, ForwardMode::Nat);
        pool.tracking = Tracking::AllCalls;
        pool.lifetimes.silence = 900;
    }

    [[nodiscard]] SteerView view() const {
        expect_valid(here.snapshot);
        return {here.snapshot, table, time};
    }

    /// Makes the pool's backends `count`.
    void add_backends(std::size_t count) {
        const Backend like = here.snapshot.backends[index(kB1)];
        here.snapshot.backends.resize(count, like);
    }

    static SipDigest message(Method method, std::string_view call_id, bool inside = false) {
        return request_digest(method, call_id, inside);
    }
    Steering send(const SipDigest& digest) {
        const std::uint64_t hash = steering_hash(here.snapshot.pools[index(kProxies)], digest);
        return steer(view(), kProxies, digest, hash);
    }
    Steering begin(const std::string& call_id) { return send(message(Method::Invite, call_id)); }
    [[nodiscard]] BackendLoad& load(std::uint16_t id) const { return (*picker->loads)[id]; }

    World here = world();
    OwnTable own;
    CallTable table = own.table;
    CallTime time{5};
    std::shared_ptr<Picker> picker = std::make_shared<Picker>();
};

/// Starts a call at another backend than the owner of its slot; returns its Call-ID.
inline std::string dealt_against_the_hash(Site& site) {
    std::string id;
    Steering begun;
    do {
        id += 'a';
        begun = site.begin(id);
    } while ((*site.here.snapshot.pools[index(kProxies)].slots)[begun.slot] == *begun.backend);
    return id;
}

} // namespace viaduct::test
