// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "steering/hash_lanes.hpp"

#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

/// Keys of random bytes, each with its own prefix, and a few bytes after it.
struct Keys {
    explicit Keys(std::mt19937& random, std::size_t count, std::size_t longest) {
        for (std::size_t i = 0; i < count; ++i) {
            SteeringSecret secret{};
            for (std::uint8_t& byte : secret)
                byte = static_cast<std::uint8_t>(random());
            prefixes.push_back(hash_prefix(secret, random(), KeyType::CallId));
            sizes.push_back(random() % (longest + 1));
            std::string text(sizes.back() + random() % 80, ' ');
            for (char& c : text)
                c = static_cast<char>(random());
            texts.push_back(std::move(text));
        }
    }
    [[nodiscard]] std::vector<HashJob> jobs() const {
        std::vector<HashJob> all;
        for (std::size_t i = 0; i < texts.size(); ++i)
            all.push_back({texts[i].data(),
                           static_cast<std::uint32_t>(sizes[i]),
                           static_cast<std::uint32_t>(texts[i].size()),
                           &prefixes[i]});
        return all;
    }
    std::vector<HashPrefix> prefixes;
    std::vector<std::size_t> sizes;
    std::vector<std::string> texts;
};

std::vector<std::uint64_t> hashed_at(ScanLevel level, const std::vector<HashJob>& jobs) {
    std::vector<std::uint64_t> hashes(jobs.size());
    hash_keys_at(level, jobs, hashes.data());
    return hashes;
}

TEST(HashLanes, GiveTheHashOfEachKeyAtEveryLevel) {
    std::mt19937 random(13);
    for (int round = 0; round < 20'000; ++round) {
        const Keys keys(random, random() % 33, round % 4 == 0 ? 200 : 70);
        const std::vector<HashJob> jobs = keys.jobs();
        std::vector<std::uint64_t> expected;
        for (const HashJob& job : jobs)
            expected.push_back(hash_key(*job.prefix, {job.key, job.size}));
        for (const ScanLevel level : kScanLevels) {
            if (!has_scan_level(level)) continue;
            ASSERT_EQ(hashed_at(level, jobs), expected) << name_of(level) << " " << round;
        }
        std::vector<std::uint64_t> best(jobs.size());
        hash_keys(jobs, best.data());
        ASSERT_EQ(best, expected);
    }
}

TEST(HashLanes, GiveTheSameForEveryLength) {
    std::mt19937 random(14);
    for (std::uint32_t size = 0; size <= 130; ++size) {
        const Keys keys(random, 8, 0);
        const std::string text(200, static_cast<char>('a' + size % 26));
        std::vector<HashJob> jobs = keys.jobs();
        for (HashJob& job : jobs) {
            job.key = text.data();
            job.size = size;
            job.readable = 200;
        }
        for (const ScanLevel level : kScanLevels) {
            if (!has_scan_level(level)) continue;
            const std::vector<std::uint64_t> hashes = hashed_at(level, jobs);
            for (std::size_t i = 0; i < jobs.size(); ++i)
                ASSERT_EQ(hashes[i], hash_key(*jobs[i].prefix, {text.data(), size}))
                    << name_of(level) << " " << size;
        }
    }
}

TEST(HashLanes, ReadNothingAfterTheReadableBytes) {
    std::mt19937 random(15);
    const Keys keys(random, 8, 0);
    for (std::uint32_t readable = 1; readable <= 80; ++readable) {
        const std::string text(readable, 'k');
        const auto bytes = guarded(text);
        std::vector<HashJob> jobs = keys.jobs();
        for (HashJob& job : jobs) {
            job.key = reinterpret_cast<const char*>(bytes.data());
            job.readable = readable;
            job.size = 1 + readable / 2;
        }
        for (const ScanLevel level : kScanLevels) {
            if (!has_scan_level(level)) continue;
            EXPECT_EQ(hashed_at(level, jobs)[3],
                      hash_key(*jobs[3].prefix, {text.data(), jobs[3].size}));
        }
    }
}

} // namespace
} // namespace viaduct::test
