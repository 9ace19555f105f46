// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "steer_by.hpp"
#include "world.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

constexpr SteeringSecret kCountingSecret{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

std::string counting_bytes(std::size_t count) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes += static_cast<char>(i);
    return bytes;
}

/// SipHash-1-3 written from the paper, over a byte string, sharing nothing with the core.
std::uint64_t plain_siphash(const SteeringSecret& key, const std::string& text) {
    std::uint64_t k[2] = {0, 0};
    for (std::size_t i = 0; i < 16; ++i)
        k[i / 8] |= std::uint64_t{key[i]} << (i % 8 * 8);
    std::uint64_t v[4] = {k[0] ^ 0x736f6d6570736575U,
                          k[1] ^ 0x646f72616e646f6dU,
                          k[0] ^ 0x6c7967656e657261U,
                          k[1] ^ 0x7465646279746573U};
    const auto turn = [](std::uint64_t x, int by) { return x << by | x >> (64 - by); };
    const auto round = [&] {
        v[0] += v[1], v[2] += v[3];
        v[1] = turn(v[1], 13), v[3] = turn(v[3], 16);
        v[1] ^= v[0], v[3] ^= v[2];
        v[0] = turn(v[0], 32);
        v[2] += v[1], v[0] += v[3];
        v[1] = turn(v[1], 17), v[3] = turn(v[3], 21);
        v[1] ^= v[2], v[3] ^= v[0];
        v[2] = turn(v[2], 32);
    };
    std::string padded = text;
    while (padded.size() % 8 != 7)
        padded += '\0';
    padded += static_cast<char>(text.size() & 0xff);
    for (std::size_t at = 0; at < padded.size(); at += 8) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i)
            word |= std::uint64_t{static_cast<std::uint8_t>(padded[at + i])} << (8 * i);
        v[3] ^= word;
        round();
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; ++i)
        round();
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

std::string little_endian(std::uint64_t word) {
    std::string bytes;
    for (int i = 0; i < 8; ++i)
        bytes += static_cast<char>(word >> (8 * i) & 0xff);
    return bytes;
}

TEST(Hash, IsSipHash13) {
    // Made by OpenSSL 3.0: openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f
    // -macopt c-rounds:1 -macopt d-rounds:3 -macopt size:8 -in FILE SipHash, for 0, 1, 2, ...
    // bytes.
    const std::map<std::size_t, std::uint64_t> vectors{
        {0, 0xabac0158050fc4dcU},
        {1, 0xc9f49bf37d57ca93U},
        {7, 0xd3927d989bb11140U},
        {8, 0x369095118d299a8eU},
        {9, 0x25a48eb36c063de4U},
        {15, 0xd320d86d2a519956U},
        {16, 0xcc4fdd1a7d908b66U},
        {31, 0x2370dd1f8c21d1bcU},
        {63, 0x9d199062b7bbb3a8U},
        {255, 0xf76214e3153c4a15U},
        {256, 0x75b3e64e167de370U},
    };
    for (const auto& [length, hash] : vectors) {
        EXPECT_EQ(hash_bytes(kCountingSecret, counting_bytes(length)), hash) << length;
        EXPECT_EQ(plain_siphash(kCountingSecret, counting_bytes(length)), hash) << length;
    }
}

TEST(Hash, OfAKeyIsOverGroupAndKeyTypeAndKey) {
    std::mt19937_64 random(1);
    for (std::size_t length = 0; length < 300; ++length) {
        SteeringSecret secret;
        for (auto& byte : secret)
            byte = static_cast<std::uint8_t>(random());
        std::string key(length, '\0');
        for (char& c : key)
            c = static_cast<char>(random());
        const std::uint64_t group = random();
        const auto at_end = guarded(key); // no byte outside the key is read
        const std::string_view guarded_key(reinterpret_cast<const char*>(at_end.data()), length);
        EXPECT_EQ(hash_key(hash_prefix(secret, group, KeyType::CallId), guarded_key),
                  plain_siphash(secret, little_endian(group) + little_endian(1) + key))
            << length;
        EXPECT_EQ(hash_bytes(secret, key), plain_siphash(secret, key)) << length;
    }
}

TEST(Steer, SendsEqualCallIdsToOneBackend) {
    const World here = world();
    const World there = world(); // another balancer with the same configuration
    for (int i = 0; i < 1000; ++i) {
        const std::string call_id = std::to_string(i) + "@192.0.2.7";
        const Steering first = steer_by(here.snapshot, kProxies, call_id);
        const Steering again = steer_by(there.snapshot, kProxies, std::string(call_id));
        ASSERT_TRUE(first.backend);
        EXPECT_EQ(first.backend, again.backend);
        EXPECT_EQ(first.slot, again.slot);
    }
}

TEST(Steer, TakesTheBackendThatStandsInTheSlotOfTheKeysHash) {
    World here = world();
    auto table = std::make_shared<SlotTable>();
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        (*table)[slot] = BackendId{static_cast<std::uint16_t>(slot * 7 % 5)};
    here.snapshot.pools[index(kProxies)].slots = table;
    for (int i = 0; i < 1000; ++i) {
        const std::string call_id = "slot-" + std::to_string(i);
        const Steering steering = steer_by(here.snapshot, kProxies, call_id);
        ASSERT_LT(steering.slot, kSlots);
        EXPECT_EQ(steering.slot % kSlots,
                  hash_key(hash_prefix(here.snapshot.secret, 0x1111, KeyType::CallId), call_id) %
                      kSlots);
        EXPECT_EQ(steering.backend, (*table)[steering.slot]);
    }
}

TEST(Steer, ReachesEverySlotAboutEquallyOften) {
    const World here = world();
    std::map<BackendId, int> calls;
    std::set<std::uint32_t> slots;
    for (int i = 0; i < 30'000; ++i) {
        const Steering steering = steer_by(here.snapshot, kProxies, "even-" + std::to_string(i));
        ++calls[steering.backend.value()];
        slots.insert(steering.slot);
    }
    for (const BackendId backend : {kB1, kB2, kB3}) // 10,000 each; standard deviation is 82
        EXPECT_NEAR(calls[backend], 10'000, 500);
    EXPECT_GT(slots.size(), 22'000U); // of 65,536 slots 30,000 random calls hit about 24,100
}

TEST(Steer, DistinguishesCallIdsByEveryByteAndLetterCase) {
    const World here = world();
    const std::string call_id = "aBcDeFgHiJkLmNoP@example.org";
    const std::uint64_t hash = hash_key(hash_prefix(kCountingSecret, 1, KeyType::CallId), call_id);
    for (std::size_t i = 0; i < call_id.size(); ++i) {
        std::string other = call_id;
        other[i] = static_cast<char>(other[i] ^ 0x20);
        EXPECT_NE(hash_key(hash_prefix(kCountingSecret, 1, KeyType::CallId), other), hash) << other;
    }
    EXPECT_NE(hash_key(hash_prefix(kCountingSecret, 1, KeyType::CallId), call_id + '\0'), hash);
}

TEST(Steer, SeparatesPoolsOfDifferentGroups) {
    World here = world();
    int equal = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::string call_id = std::to_string(i);
        equal += steer_by(here.snapshot, kProxies, call_id).slot ==
                 steer_by(here.snapshot, kInside, call_id).slot;
    }
    EXPECT_LT(equal, 5); // by chance 1 in 65,536
    here.snapshot.pools[index(kInside)].call_id_hash =
        here.snapshot.pools[index(kProxies)].call_id_hash;
    EXPECT_EQ(steer_by(here.snapshot, kProxies, "a@b").slot,
              steer_by(here.snapshot, kInside, "a@b").slot);
}

TEST(Steer, DependsOnEveryBitOfTheSecret) {
    World here = world();
    const std::uint64_t hash =
        hash_key(hash_prefix(here.snapshot.secret, 7, KeyType::CallId), "a@b");
    for (std::size_t bit = 0; bit < 128; ++bit) {
        SteeringSecret other = here.snapshot.secret;
        other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ 1U << bit % 8);
        EXPECT_NE(hash_key(hash_prefix(other, 7, KeyType::CallId), "a@b"), hash) << bit;
    }
}

TEST(Steer, SteersNothingBeforeTheVerdict) {
    World here = world();
    here.snapshot.pools[index(kProxies)].health_known = false;
    const Steering steering = steer_by(here.snapshot, kProxies, "a@b");
    EXPECT_EQ(steering.backend, std::nullopt);
    EXPECT_EQ(steering.refusal, Outcome::HealthUnknown);
    here.snapshot.pools[index(kProxies)].slots = nullptr;
    EXPECT_EQ(steer_by(here.snapshot, kProxies, "a@b").refusal, Outcome::HealthUnknown);
    EXPECT_TRUE(steer_by(here.snapshot, kInside, "a@b").backend); // the other pool has its own
}

TEST(Steer, SaysThatNoBackendMayTakeIt) {
    World here = world();
    here.snapshot.pools[index(kProxies)].slots = nullptr;
    const Steering steering = steer_by(here.snapshot, kProxies, "a@b");
    EXPECT_EQ(steering.backend, std::nullopt);
    EXPECT_EQ(steering.refusal, Outcome::NoBackend);
}

} // namespace
} // namespace viaduct::test
