// SPDX-License-Identifier: Apache-2.0
//
// side: the core of one build behind the C interface of side.hpp.
//
// scripts/ab compiles this file once for each of the two trees, each time with that tree's headers:
// its contract, its data plane, its test world (tests/support) and its bench/full_table.hpp. So it
// uses little of them: set_frame(), run_pipeline(), read_digest(), hash_key(), and what the header
// of the tree provides.
#include "side.hpp"

#if __has_include("viaduct/steering/steer.hpp")
#include "tree_now.hpp"
#else
#include "tree_56424cc.hpp"
#endif

#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string>

namespace viaduct::ab {
namespace {

static_assert(kAbUnit == kMaxBurst);

/// What a load runs on.
class Prepared {
public:
    explicit Prepared(const AbLoad& load) : load_(load) {
        burst_.count = kMaxBurst;
        if (load.kind != kAbDigest) make_world();
        if (load.kind == kAbCalls) fill_table();
    }

    std::uint64_t run(std::uint64_t units) {
        for (std::uint64_t i = 0; i < units; ++i)
            sum_ = sum_ * 31 + (load_.kind == kAbDigest ? read_messages() : send_burst());
        return sum_;
    }

private:
    void make_world() {
        world_.emplace(test::world());
        Pool& pool = world_->snapshot.pools[index(test::kProxies)];
        if (load_.kind == kAbCalls) {
            make_stateful(pool);
            pool.marks = std::make_shared<SlotMarks>();
            pool.lifetimes.silence = 900; // as add_call() dates its calls
        }
        for (Vip& vip : world_->snapshot.vips)
            vip.read_rules.want = load_.kind == kAbCalls ? kWantForCalls : kWantForHash;
    }

    /// Answered calls with the numbers from 1 to `calls`, each in the dialog of the load's frames.
    void fill_table() {
        const HashPrefix& prefix = world_->snapshot.pools[index(test::kProxies)].call_id_hash;
        arrive(load_.data[0]);
        const std::uint8_t dialog = dialog_of(*world_, load_.data[0], load_.size[0]);
        std::string id = load_.call_id;
        table_.emplace(load_.calls);
        for (std::uint64_t i = 0; i < load_.calls; ++i) {
            next_number(id.data());
            add_call(*table_, hash_key(prefix, id), dialog);
        }
    }

    /// The number after this one; after the last one zero. Quicker than a division for each digit.
    static void next_number(char* digits) {
        for (std::size_t i = kAbDigits; i-- > 0;) {
            if (digits[i] != '9') {
                ++digits[i];
                return;
            }
            digits[i] = '0';
        }
    }

    std::uint32_t next_item() {
        const std::uint32_t item = load_.order[at_];
        at_ = at_ + 1 == load_.order_size ? 0 : at_ + 1;
        return item;
    }

    /// The round before may have rewritten its MAC addresses.
    static void arrive(std::byte* frame) {
        constexpr std::array<std::uint8_t, 12> kMacs{2, 0, 0, 0, 0, 0x01, 2, 0, 0, 0, 0, 0xc1};
        std::memcpy(frame, kMacs.data(), kMacs.size());
    }

    void put_number(std::uint32_t item) {
        if (call_ == load_.calls) {
            call_ = 0;
            number_ = kFirst;
        }
        ++call_;
        next_number(number_.data());
        std::memcpy(load_.number[item], number_.data(), number_.size());
    }

    /// What was decided of the frames of a burst: where each one goes, by the address that dsr-l2
    /// wrote, and how many go.
    std::uint64_t send_burst() {
        std::array<std::byte*, kMaxBurst> frames;
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            const std::uint32_t item = next_item();
            frames[i] = load_.data[item];
            if (load_.kind == kAbCalls) put_number(item);
            arrive(frames[i]);
            set_frame(burst_, i, frames[i], load_.size[item], PortId{0});
        }
        if (load_.kind == kAbCalls)
            run_pipeline({world_->snapshot,
                          world_->next_hops,
                          links_of(*world_),
                          table_->table(),
                          bench::kNow},
                         burst_);
        else
            run_pipeline(world_->view(), burst_);
        std::uint64_t sum = burst_.live_count;
        for (std::size_t i = 0; i < kMaxBurst; ++i)
            sum += (i + 1) * 64 *
                   (std::to_integer<std::uint64_t>(frames[i][4]) * 16 +
                    std::to_integer<std::uint64_t>(frames[i][5]));
        return sum;
    }

    /// What was read: where the Call-ID is, its hash, the To-tag, CSeq and the defect.
    std::uint64_t read_messages() {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            const std::uint32_t item = next_item();
            const std::byte* const bytes = load_.data[item];
            const SipDigest digest = read_digest({bytes, load_.size[item]}, kRules);
            sum += hash_key(prefix_, digest.call_id) + digest.call_id.size() +
                   (digest.has_to_tag ? 1 : 0) + (digest.cseq ? digest.cseq->number : 0) +
                   static_cast<std::uint64_t>(digest.defect) * 4;
        }
        return sum;
    }

    static constexpr ReadRules kRules{.want = Want::ToTag | Want::CSeq};
    static constexpr std::array<char, kAbDigits> kFirst{'0', '0', '0', '0', '0', '0', '0', '0'};

    const AbLoad& load_;
    const HashPrefix prefix_ = hash_prefix({}, 1, KeyType::CallId);
    std::optional<test::World> world_;
    std::optional<bench::FullTable> table_;
    Burst burst_;
    std::uint32_t at_ = 0;
    std::uint64_t call_ = 0;
    std::array<char, kAbDigits> number_ = kFirst;
    std::uint64_t sum_ = 0;
};

} // namespace
} // namespace viaduct::ab

std::uint32_t ab_version() {
    return kAbVersion;
}

void* ab_prepare(const AbLoad* load) {
    try {
        return new viaduct::ab::Prepared(*load);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ab: %s\n", error.what());
        return nullptr;
    }
}

std::uint64_t ab_run(void* prepared, std::uint64_t units) {
    return static_cast<viaduct::ab::Prepared*>(prepared)->run(units);
}

void ab_release(void* prepared) {
    delete static_cast<viaduct::ab::Prepared*>(prepared);
}
