// SPDX-License-Identifier: Apache-2.0
//
// keys: what of a message that begins something is hashed, where a pool wants another key than the
// Call-ID; and which other call it names.
//
// In:    the payload as received. Hostile.
// Out:   a keyed hash; empty: the message does not have that key, and its Call-ID counts.
// Cost:  one full reading of the message. Whether a message names another call at all is asked of
//        every INVITE, REFER and SUBSCRIBE: one pass over its line ends.
// Spec:  RFC 3261 §10 (registrations), §19.1.4 and §19.1.6 (which URIs are equal), RFC 3966 §4
// (which
//        numbers), RFC 3891 (Replaces), RFC 3911 (Join), RFC 4538 (Target-Dialog).
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"
#include "viaduct/sip/digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace viaduct {

/// What a key is. Goes into the hash, so that equal texts of different kinds do not collide.
enum class KeyType : std::uint8_t {
    CallId = 1,
    Aor = 2,  ///< user@host of To
    From = 3, ///< user@host of From; hashed as Aor, so that callers find what they registered
    RequestUriUser = 4,
    Source = 5,      ///< the sender's IP address
    Header = 6,      ///< the value of the first field of a name
    Transaction = 7, ///< the branch of a request: no pool's key, but what it is counted by
};

/// A keyed hash that has taken in what all keys of one kind and pool share: see hash_prefix().
struct HashPrefix {
    std::array<std::uint64_t, 4> state{};
};

struct KeyRule {
    KeyType type = KeyType::CallId;
    HashPrefix prefix{};
    std::string header{}; ///< of Header
};

/// By Method, as far as it begins something.
struct PoolKeys {
    std::array<KeyRule, count_of<Method>()> by_method;
};

/// What steering may have to read besides the digest.
struct ReceivedMessage {
    std::span<const std::byte> payload{};
    Ipv4Addr source{};
};

/// Of an address (Aor, From, RequestUriUser) what must be equal for two to be equal: the user with
/// its escapes decoded, the host in lower case. A user that is a telephone number, digits with or
/// without `+`, has no visual separators, nor parameters but the phone-context of a local number,
/// in lower case: RFC 3966 §4 has it so for tel, and the numbers of sip URIs are written by the
/// same devices (RFC 3261 §19.1.6). Two that are not equal may have one key, and so one backend.
[[nodiscard]] std::optional<std::uint64_t> key_hash(const KeyRule& rule,
                                                    const ReceivedMessage& received) noexcept;
/// The text that it is the hash of, as much as fits; its size. 0: the message does not have it.
std::size_t
key_text(const KeyRule& rule, const ReceivedMessage& received, std::span<char> into) noexcept;

/// Whether an answer has the key of its request.
[[nodiscard]] constexpr bool is_in_answers(KeyType type) noexcept {
    return type == KeyType::CallId || type == KeyType::Aor || type == KeyType::From;
}

/// Whether a message may begin something and name another call. Never false when it does.
[[nodiscard]] bool may_reference_call(std::span<const std::byte> payload) noexcept;

/// For how many seconds a REGISTER, SUBSCRIBE or PUBLISH asks: the longest `expires` of its
/// Contacts, else Expires, else 3600, what RFC 3261 §10.2.1.1, RFC 6665 §4.1.2.1 and RFC 3903 §4
/// leave to the server and servers take. Who answers may grant less.
[[nodiscard]] std::uint32_t asked_seconds(std::span<const std::byte> payload) noexcept;
inline constexpr std::uint32_t kUsualExpires = 3600;

/// What the answer to one of those grants: the same, as far as it says so.
[[nodiscard]] std::optional<std::uint32_t>
granted_seconds(std::span<const std::byte> payload) noexcept;

/// Whether a NOTIFY is the last of its subscription (RFC 6665 §4.4.1).
[[nodiscard]] bool ends_a_subscription(std::span<const std::byte> payload) noexcept;

/// The Call-ID in its Replaces, Join or Target-Dialog; empty: there is none.
[[nodiscard]] std::string_view referenced_call(std::span<const std::byte> payload) noexcept;

} // namespace viaduct
